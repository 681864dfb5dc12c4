"""Distillation: equation (1), nothing where both sides agree, and a teacher that nothing moves."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from crlso.exceptions import ProblemError
from crlso.networks.darts import DartsNetwork
from crlso.networks.darts_flexible import FlexibleNetwork
from crlso.spaces import get_space
from crlso.supernet.methods.distillation import RATIO, Distillation

SHAPE = (1, 8, 8)
X = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))


def network(seed=0, width=2):
    """A trained network stands for any: with running statistics of its own."""
    torch.manual_seed(seed)
    space = get_space("darts-flexible-dnad@3")
    arch = space.from_cells([[[("sep_conv_3x3", 0), ("skip_connect", 1)]] * 4] * 3)
    found = FlexibleNetwork(arch, 10, SHAPE, width=width)
    with torch.no_grad():
        found(X)
    return found


def make(student=None, teacher=None):
    """Distillation into a narrower network's features, which keep their graph."""
    student, teacher = student or network(1), teacher or network(2, width=4)
    features = student.train().stages(X)
    torch.manual_seed(3)
    return Distillation(teacher, features, X), features


def normalised(x):
    mean, variance = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


def test_it_is_equation_1():
    distillation, features = make()
    taught = distillation.teacher.stages(X)
    terms = [
        ratio * (normalised(projection(s)) - normalised(t)).square().mean()
        for ratio, projection, s, t in zip((0.2, 0.3, 0.5), distillation.projections, features, taught, strict=True)
    ]
    torch.testing.assert_close(distillation(X, features), sum(terms))
    assert [p.bias is not None and p.kernel_size == (1, 1) for p in distillation.projections] == [True] * 3


def test_nothing_is_to_be_learned_where_both_sides_agree():
    teacher = network()
    features = teacher.eval().stages(X)
    distillation = Distillation(teacher, features, X)
    assert float(distillation(X, features).detach()) > 0
    with torch.no_grad():
        for projection in distillation.projections:
            nn.init.dirac_(projection.weight)
            nn.init.zeros_(projection.bias)
    assert float(distillation(X, features).detach()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_scale_and_shift_of_channels_do_not_matter_and_it_is_no_less_than_zero(seed):
    """A mean square between features of mean 0 and variance 1: 4 at most, where they are opposite."""
    distillation, features = make(network(seed), network(seed + 10, width=4))
    distance = float(distillation(X, features).detach())
    assert 0 <= distance <= 4 * sum(RATIO)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for projection in distillation.projections:
            scale = 50 * (1 + torch.rand(projection.out_channels, generator=generator))
            projection.weight *= scale[:, None, None, None]
            projection.bias += scale
    assert float(distillation(X, features).detach()) == pytest.approx(distance, rel=1e-2)


def test_the_teacher_is_frozen_in_evaluation_mode_whatever_mode_is_set():
    teacher = network().train()
    before = deepcopy(teacher.state_dict())
    distillation, features = make(teacher=teacher)
    for mode in (True, False):
        assert distillation.train(mode) is distillation
        assert distillation.projections.training == mode
        assert not any(module.training for module in teacher.modules())
        distillation(X, features)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_projections_and_student_learn_and_the_teacher_does_not():
    student, teacher = network(1), network(2)
    distillation, features = make(student, teacher)
    distillation(X, features).backward()
    assert all(p.grad is not None and p.grad.any() for p in distillation.projections.parameters() if p.dim() > 1)
    assert all(cell.preprocess[1][1].weight.grad.any() for cell in student.cells)
    assert student.stem[0].weight.grad.any()
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


def test_teachers_that_see_images_at_other_sizes_are_refused():
    """Two cells both reduce, so the first of them is no cell before a reduction."""
    genotype = get_space("darts").sample(1, np.random.default_rng(0))[0]
    teacher = DartsNetwork(genotype, 10, SHAPE, width=2, cells=2)
    with pytest.raises(ProblemError, match=r"must be the same; take a teacher of cells that reduce twice"):
        Distillation(teacher, network().stages(X), X)
