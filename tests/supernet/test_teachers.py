"""Teachers: what they are, that they are the ones who were meant, and that none is trained twice."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from crlso.spaces.darts_flexible import FAMILIES, cells_of
from crlso.supernet.runs import read_settings, write_json
from crlso.supernet.searching import SearchSettings
from crlso.supernet.standalone import TrainingSettings, build_network
from crlso.supernet.teachers import load_teacher, plain_teacher, train_teacher

SPACE = "darts-flexible-dnad@3"
CPU = torch.device("cpu")
DNAD = {"name": "dnad", "teacher_width": 4, "teacher_epochs": 2, "teacher_learning_rate": 0.05}


def settings(**changes):
    return SearchSettings.model_validate({"space": SPACE, "dataset": "few", "method": DNAD, "seed": 7, **changes})


@pytest.mark.parametrize("name", [*FAMILIES, *(f"{family}@5" for family in FAMILIES)])
def test_the_plain_teacher_averages_separable_convolutions_of_both_inputs(name):
    space = get_space(name)
    cells = cells_of(plain_teacher(space))
    assert len(cells) == space.cells
    assert {node for cell in cells for node in cell} == {(("sep_conv_3x3", 0), ("sep_conv_3x3", 1))}


def test_a_teacher_is_trained_once_as_the_method_says(few, tmp_path):
    folder, told = tmp_path / "teacher", []
    network = train_teacher(settings(), few, folder, CPU, progress=lambda count, row: told.append(count))
    own = TrainingSettings.model_validate(read_settings(folder))
    assert (own.width, own.epochs, own.learning_rate, own.seed) == (4, 2, 0.05, 7)
    assert own.arch == plain_teacher(get_space(SPACE)).text
    assert told == [1, 2]
    weights = (folder / "network.safetensors").read_bytes()
    again = train_teacher(settings(), few, folder, CPU, progress=lambda count, row: told.append(count))
    assert told == [1, 2], "what is there is not trained again"
    assert (folder / "network.safetensors").read_bytes() == weights
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    found, digest = load_teacher(folder, few, CPU)
    assert digest == hashlib.sha256(weights).hexdigest()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), found.parameters(), strict=True))
    train_teacher(settings(seed=8), few, folder, CPU, overwrite=True)
    assert load_teacher(folder, few, CPU)[1] != digest


def test_a_teacher_of_another_search_is_not_taken(few, tmp_path):
    train_teacher(settings(method={**DNAD, "teacher_epochs": 1}), few, tmp_path, CPU)
    with pytest.raises(ProblemError, match="seed was 7 and is 8; resume with its settings, or name another folder"):
        train_teacher(settings(method={**DNAD, "teacher_epochs": 1}, seed=8), few, tmp_path, CPU)


def test_methods_without_a_teacher_are_refused(few, tmp_path):
    with pytest.raises(ProblemError, match="snps has no teacher; dnad has"):
        train_teacher(settings(method={"name": "snps"}), few, tmp_path / "teacher", CPU)
    assert list(tmp_path.iterdir()) == []


def test_networks_without_cells_teach_nothing(few, tmp_path):
    text = "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    own = TrainingSettings(space="nasbench201", arch=text)
    network = build_network(get_space("nasbench201").parse(text), few, own.width, auxiliary=False)
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    write_json(tmp_path / "settings.json", own.model_dump(mode="json"))
    with pytest.raises(ProblemError, match="no cells to learn from: train one of a DARTS space"):
        load_teacher(tmp_path, few, CPU)
