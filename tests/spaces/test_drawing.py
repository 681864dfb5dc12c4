"""Drawings: what is drawn, what is faint, that labels keep apart, and that colours can be seen."""

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from crlso.architecture import Graph, Schema
from crlso.spaces import get_space
from crlso.spaces.drawing import NEUTRAL, PALETTE, color, draw_blocks, draw_graph, label

SVG = "{http://www.w3.org/2000/svg}"
SPACE = get_space("nasbench201")
FULL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def groups(text):
    """What the cell's drawing shows, by what it says on hovering: pairs of an element and its opacity."""
    root = ET.fromstring(SPACE.draw(SPACE.parse(text)))
    found = {}
    for layer in root.findall(f"{SVG}g"):
        for group in layer:
            found.setdefault(group.findtext(f"{SVG}title"), []).append((group, float(layer.get("opacity"))))
    return found


def opacities(text):
    return {meaning: {opacity for _, opacity in parts} for meaning, parts in groups(text).items()}


def test_every_edge_that_exists_has_a_line_a_head_and_a_label():
    edges = {meaning: parts for meaning, parts in groups(FULL).items() if "→" in meaning}
    assert len(edges) == 6
    for parts in edges.values():
        tags = sorted(
            shape.tag.removeprefix(SVG) for group, _ in parts for shape in group if shape.tag != f"{SVG}title"
        )
        assert tags == ["path", "path", "rect", "text"]


def test_absent_edges_are_not_drawn():
    meanings = groups(FULL.replace("avg_pool_3x3~1", "none~1"))
    assert "1 → 3: avg_pool_3x3" not in meanings
    assert not any("none" in meaning for meaning in meanings)
    assert sum("→" in meaning for meaning in meanings) == 5


def test_faint_is_exactly_what_lies_on_no_path_from_source_to_sink():
    drawn = opacities("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    faint = {meaning for meaning, opacity in drawn.items() if opacity != {1.0}}
    assert faint == {"0 → 1: nor_conv_3x3", "2 → 3: nor_conv_1x1", "1: sum", "2: sum"}
    assert all(opacity == {1.0} for opacity in opacities(FULL).values())


def test_labels_and_nodes_keep_apart_and_inside_the_picture():
    root = ET.fromstring(SPACE.draw(SPACE.parse(FULL)))
    boxes = [tuple(float(rect.get(k)) for k in ("x", "y", "width", "height")) for rect in root.iter(f"{SVG}rect")]
    for circle in root.iter(f"{SVG}circle"):
        x, y, r = (float(circle.get(k)) for k in ("cx", "cy", "r"))
        boxes.append((x - r, y - r, 2 * r, 2 * r))
    assert len(boxes) == 6 + 4
    for (x, y, w, h), (u, v, s, t) in combinations(boxes, 2):
        assert x + w <= u or u + s <= x or y + h <= v or v + t <= y
    left, top, width, height = map(float, root.get("viewBox").split())
    for x, y, w, h in boxes:
        assert left <= x
        assert top <= y
        assert x + w <= left + width
        assert y + h <= top + height


def test_labels_lie_on_top_of_all_lines():
    for layer in ET.fromstring(SPACE.draw(SPACE.parse(FULL))).findall(f"{SVG}g"):
        tags = [shape.tag.removeprefix(SVG) for shape in layer.iter()]
        assert "path" not in tags[tags.index("rect") if "rect" in tags else len(tags) :]


def test_place_of_an_edge_does_not_depend_on_the_others():
    line = re.search(r'1 → 3: avg_pool_3x3</title><path d="([^"]+)"', SPACE.draw(SPACE.parse(FULL)))[1]
    assert line in SPACE.draw(SPACE.parse("|none~0|+|none~0|none~1|+|none~0|avg_pool_3x3~1|none~2|"))


def test_names_from_outside_are_escaped():
    schema = Schema(2, ("a<b", "&"), ("none", '"<script>"'), *[frozenset()] * 2, frozenset({"a<b"}), frozenset({"&"}))
    text = draw_graph(Graph(np.array([0, 1]), np.array([[0, 1], [0, 0]])), schema, title="</title><script>&")
    root = ET.fromstring(text)
    assert root.findtext(f"{SVG}title") == "</title><script>&"
    assert "<script" not in text


def test_many_can_stand_in_one_page():
    text = SPACE.draw(SPACE.parse(FULL))
    assert " id=" not in text
    assert "<style" not in text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("nor_conv_3x3", "conv 3×3"),
        ("avg_pool_3x3", "avg 3×3"),
        ("skip_connect", "skip"),
        ("sep_conv_5x5", "sep conv 5×5"),
        ("conv3x3-bn-relu", "conv 3×3"),
        ("maxpool3x3", "maxpool 3×3"),
        ("pool", "pool"),
        ("exchange", "exchange"),
    ],
)
def test_labels_are_short(name, short):
    assert label(name) == short


def test_operations_of_a_cell_differ_in_colour_and_those_that_change_nothing_are_grey():
    schema = SPACE.schema
    assert color("skip_connect", schema) == NEUTRAL
    assert len({color(name, schema) for name in schema.edge_types[1:]}) == len(schema.edge_types) - 1


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Contrast ratio as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colour", [*PALETTE, NEUTRAL])
@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_colours_stand_out_on_light_and_dark_pages(colour, page):
    assert contrast(colour, page) >= 3.0  # WCAG 2, 1.4.11: graphical objects


def test_text_is_legible_on_the_ground_it_brings():
    root = ET.fromstring(SPACE.draw(SPACE.parse(FULL)))
    grounds = {f"{SVG}rect", f"{SVG}circle"}
    for group in root.iter(f"{SVG}g"):
        for ground, text in zip(group, list(group)[1:], strict=False):
            if ground.tag in grounds:
                assert contrast(ground.get("fill"), text.get("fill")) >= 4.5  # WCAG 2, 1.4.3: text


def test_nodes_with_an_operation_show_it_clear_of_straight_arrows_and_plain_edges_have_no_label():
    space = get_space("nasbench101")
    chain = '{"matrix":[[0,1,0],[0,0,1],[0,0,0]],"ops":["input","maxpool3x3","output"]}'
    root = ET.fromstring(space.draw(space.parse(chain)))
    (box,) = root.iter(f"{SVG}rect")
    left, right = float(box.get("x")), float(box.get("x")) + float(box.get("width"))
    assert {text.text for text in root.iter(f"{SVG}text")} == {"in", "maxpool 3×3", "out"}
    assert box.get("stroke") == color("maxpool3x3", space.schema) != NEUTRAL
    for path in root.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
        assert all(x < left or x > right for x in numbers[::2])


def test_blocks_hold_their_options_and_do_not_overlap():
    blocks = [["e6", "k3"], ["e4"], *[["a long name of an option"]] * 9]
    root = ET.fromstring(draw_blocks(blocks, title="<chain>"))
    assert root.findtext(f"{SVG}title") == "<chain>"
    outer = []
    for group, names in zip(root.findall(f"{SVG}g"), blocks, strict=True):
        assert [text.text for text in group.iter(f"{SVG}text")] == names
        (x, y, w, h), *inner = (
            tuple(float(rect.get(k)) for k in ("x", "y", "width", "height")) for rect in group.iter(f"{SVG}rect")
        )
        assert all(x <= u and u + s <= x + w and y <= v and v + t <= y + h for u, v, s, t in inner)
        outer.append((x, y, w, h))
    left, top, width, height = map(float, root.get("viewBox").split())
    for x, y, w, h in outer:
        assert left <= x <= x + w <= left + width
        assert top <= y <= y + h <= top + height
    for (x, y, w, h), (u, v, s, t) in combinations(outer, 2):
        assert x + w <= u or u + s <= x or y + h <= v or v + t <= y
