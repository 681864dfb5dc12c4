"""A plot is a document whose axes say where its markers are, and whose markers are the records and their front."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlso.supernet.plot import draw_front
from crlso.supernet.searching import front

SVG = "{http://www.w3.org/2000/svg}"
UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"accuracy": st.floats(0, 100), "params": st.integers(0, 5 * 10**8), "flops": st.integers(0, 10**11)}
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: [{**row, "architecture": str(number)} for number, row in enumerate(rows)])


class Panel:
    """One of the two, read back."""

    def __init__(self, shapes):
        self.markers = [shape for shape in shapes if shape.tag == SVG + "circle"]
        self.small = [at(shape) for shape in self.markers if shape.get("r") == "2.5"]
        self.large = [at(shape) for shape in self.markers if shape.get("r") == "4"]
        texts = [shape for shape in shapes if shape.tag == SVG + "text"]
        self.numbers = [text.text for text in texts if text.get("fill")]
        plain = [text for text in texts if not text.get("fill")]
        self.x_labels = [text.text for text in plain if text.get("text-anchor") == "middle"][:-1]
        self.y_labels = [text.text for text in plain if text.get("text-anchor") == "end"]
        frame = re.fullmatch(r"M(\d+),(\d+)v(\d+)h(\d+)", shapes[0].get("d"))
        self.left, self.top, self.height, self.width = map(int, frame.groups())
        (line,) = [shape for shape in shapes if shape.tag == SVG + "polyline"]
        self.line = [tuple(map(float, point.split(","))) for point in line.get("points").split()]

    def read(self, point):
        """Shares of the way along the axes."""
        return (point[0] - self.left) / self.width, 1 - (point[1] - self.top) / self.height


def at(shape):
    return float(shape.get("cx")), float(shape.get("cy"))


def number(label):
    digits, unit = re.fullmatch(r"(-?[\d.]+(?:e-\d+)?)([kMG]?)", label).groups()
    return float(digits) * UNITS[unit]


def panels(records, best, title="a title"):
    shapes = list(ElementTree.fromstring(draw_front(records, best, title=title)))[2:]
    starts = [place for place, shape in enumerate(shapes) if shape.tag == SVG + "path"]
    return [Panel(shapes[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]


@settings(max_examples=60)
@given(records=RECORDS)
def test_every_record_has_a_marker_in_each_panel_and_those_of_the_front_a_number(records):
    best = front(records)
    found = panels(records, best)
    assert len(found) == 2
    for panel in found:
        assert len(panel.small) == len(records)
        assert len(panel.large) == len(best)
        assert panel.numbers == [str(number) for number in range(1, len(best) + 1)]
        assert set(panel.large) <= set(panel.small)
        assert sorted(panel.large) == sorted(panel.line)
        assert [x for x, _ in panel.line] == sorted(x for x, _ in panel.line)
        for point in panel.small:
            assert all(0 < share < 1 for share in panel.read(point))


@settings(max_examples=60)
@given(records=RECORDS)
def test_axes_say_where_markers_are(records):
    for panel, key in zip(panels(records, front(records)), ("params", "flops"), strict=True):
        for record, point in zip(records, panel.small, strict=True):
            shares = panel.read(point)
            for labels, share, value, rounded in (
                (list(map(number, panel.x_labels)), shares[0], record[key], 0.0),
                (list(map(float, panel.y_labels)), shares[1], record["accuracy"], 0.05),
            ):
                low, high = labels[0], labels[-1]
                error = 0.006 * max(abs(low), abs(high)) + 0.001 * (high - low) + rounded
                assert low + share * (high - low) == pytest.approx(value, abs=error)


def test_one_record_is_in_the_middle_of_both_panels():
    record = {"accuracy": 97.5, "params": 123_456, "flops": 0}
    for panel in panels([record], [record]):
        assert panel.read(panel.small[0]) == pytest.approx((0.5, 0.5))


def test_equal_records_are_one_marker_on_another():
    record = {"accuracy": 0.0, "params": 0, "flops": 0}
    for panel in panels([record] * 3, [record]):
        assert len(panel.small) == 3
        assert len(set(panel.small)) == 1


@pytest.mark.parametrize("value", [999, 999.6, 999_499, 999_600, 999_999, 1_000_000, 999_999_999])
def test_no_label_needs_an_exponent(value):
    record = {"accuracy": 50.0, "params": value, "flops": value}
    for panel in panels([record], [record]):
        assert not any("e" in label for label in panel.x_labels)
        assert number(panel.x_labels[2]) == pytest.approx(value, rel=0.006)


def test_a_title_may_hold_what_xml_keeps_for_itself():
    record, title = {"accuracy": 50.0, "params": 1, "flops": 1}, '<front> & "co"'
    document = ElementTree.fromstring(draw_front([record], [record], title=title))
    assert [document[0].text, document[1].text] == [title, title]
