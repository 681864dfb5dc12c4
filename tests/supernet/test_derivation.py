"""What comes out of a search: files that agree with its records, and none of an earlier derivation."""

import json
import xml.etree.ElementTree as ET

import pytest

from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from crlso.supernet.checkpoint import save_state
from crlso.supernet.derivation import collapsed, derive, read_front
from crlso.supernet.searching import SearchSettings, front, skips

SPACE = get_space("darts-flexible-dnad@3")
SETTINGS = SearchSettings(space=SPACE.name, dataset="images/few.npz", method={"name": "snps"}).model_dump(mode="json")


def record(operation, accuracy, params):
    arch = SPACE.from_cells([[[(operation, 0), ("skip_connect", 1)]] * 4] * 3)
    costs = {"params": params, "flops": 10 * params, "skips": skips(arch)}
    return {"epoch": params, "plateau": False, "architecture": arch.text, "accuracy": accuracy, "loss": 1.0, **costs}


THREE = [record("skip_connect", 10.0, 1), record("sep_conv_3x3", 30.0, 3), record("dil_conv_5x5", 20.0, 2)]


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path, THREE)


def save(folder, records):
    save_state(folder / "checkpoint.safetensors", {"settings": SETTINGS, "trace": [], "task": {"records": records}})
    return folder


def test_files_are_of_the_front_by_rising_params(folder):
    found = derive(folder)
    assert found == front(THREE) == [THREE[0], THREE[2], THREE[1]]
    content = json.loads((folder / "pareto.json").read_text())
    assert content == {"settings": SETTINGS, "records": THREE, "front": found}
    assert read_front(folder) == (SETTINGS, found)
    for number, one in enumerate(found, start=1):
        drawing = ET.parse(folder / f"arch-{number}.svg").getroot()
        assert one["architecture"] in "".join(drawing.itertext())
    plot = ET.parse(folder / "pareto.svg").getroot()
    assert "snps on darts-flexible-dnad@3, few" in "".join(plot.itertext())
    assert sorted(path.name for path in folder.iterdir()) == [
        *("arch-1.svg", "arch-2.svg", "arch-3.svg", "checkpoint.safetensors", "pareto.json", "pareto.svg")
    ]


def test_drawings_of_an_earlier_front_go(folder):
    derive(folder)
    (folder / "arches.svg").write_text("someone's own")
    save(folder, [*THREE, record("dil_conv_5x5", 50.0, 1)])
    assert len(derive(folder)) == 1
    assert sorted(path.name for path in folder.glob("*.svg")) == ["arch-1.svg", "arches.svg", "pareto.svg"]
    assert len(read_front(folder)[1]) == 1


@pytest.mark.parametrize(
    "state", [{"settings": {"space": "darts"}, "task": {"network": {}}}, {"task": {"records": []}}, ["nothing"]]
)
def test_checkpoints_of_other_things_are_refused_and_nothing_written(tmp_path, state):
    save_state(tmp_path / "checkpoint.safetensors", state)
    with pytest.raises(ProblemError, match="holds no search in a supernet"):
        derive(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_folders_without_a_checkpoint_are_refused(tmp_path):
    with pytest.raises(ProblemError, match="cannot be read as a checkpoint"):
        derive(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_front_that_is_not_there_names_the_command(tmp_path, content):
    if content is not None:
        (tmp_path / "pareto.json").write_text(content)
    with pytest.raises(ProblemError, match=r"holds no front: crlso supernet derive .* makes it"):
        read_front(tmp_path)


def test_a_search_has_collapsed_where_half_of_what_stood_last_are_skips():
    even, many = record("sep_conv_3x3", 1.0, 1), record("skip_connect", 1.0, 1)
    assert (even["skips"], many["skips"]) == (0.5, 1.0)
    assert collapsed([even])
    assert collapsed([many])
    assert not collapsed([many, {**even, "skips": 0.49}])
    assert not collapsed([])
