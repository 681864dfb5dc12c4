"""DNAD is SNPS whose loss has the distance from a teacher's features as well."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from crlso.exceptions import ProblemError
from crlso.networks.darts_flexible import FlexibleNetwork
from crlso.supernet.distributed import World
from crlso.supernet.methods.dnad import DnadSettings
from crlso.supernet.methods.snps import SnpsSettings
from crlso.supernet.teachers import plain_teacher


@pytest.fixture
def method(begin, batch):
    """Wider than its student."""
    space = begin(SnpsSettings()).setup.space
    torch.manual_seed(1)
    teacher = FlexibleNetwork(plain_teacher(space), 10, (1, 8, 8), width=4)
    return begin(DnadSettings(knowledge=3.0), teacher=teacher, images=batch[0][:4])


def test_the_loss_is_cross_entropy_and_knowledge_times_the_distance(method, batch):
    x, y = batch
    w = method.weights()
    logits, features = deepcopy(method.supernet).forward_with_features(x, w.unbind())
    distance = method.distillation(x, features)
    assert distance.item() > 0
    torch.testing.assert_close(method.task_loss(x, y, w) - F.cross_entropy(logits, y), 3.0 * distance)


def test_all_else_is_snps(begin, method, batch):
    """One seed gives one supernet; without knowledge the step of the architecture is the same."""
    other = begin(SnpsSettings())
    for ours, theirs in zip(method.supernet.parameters(), other.supernet.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    means = [buffer for name, buffer in method.supernet.named_buffers() if "mean" in name]
    assert not any(map(torch.any, means)), "to look at sizes leaves no trace"
    method.knowledge = 0.0
    for each in (method, other):
        with torch.no_grad():
            each.choice.alpha.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
        each.step([batch], World(), 1)
    torch.testing.assert_close(method.choice.alpha, other.choice.alpha)


def test_projections_learn_with_the_supernet_and_outlive_deaths(method, batch):
    before = deepcopy(method.modules["distillation"].state_dict())
    teacher = deepcopy(method.distillation.teacher.state_dict())
    with torch.no_grad():
        method.choice.alpha[:, ::3] = 0  # separable convolutions of all nodes die
    for _ in range(2):
        method.step([batch], World(), 1)
        method.prune()
    assert {sum(alive) for alive in method.supernet.alive} == {28}
    after = method.distillation.projections.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in before.items() if "weight" in name)
    own = {id(p) for module in method.modules.values() for p in module.parameters()} - {id(method.choice.alpha)}
    assert {id(p) for p in method.optimizers["weights"].param_groups[0]["params"]} == own
    now = method.distillation.teacher.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in teacher.items())


def test_there_is_no_dnad_without_a_teacher(begin):
    with pytest.raises(ProblemError, match="distils a teacher: give one"):
        begin(DnadSettings())
