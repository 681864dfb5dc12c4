"""The crlso strategy: concave members, ascent in the ball, and what it asks for."""

import numpy as np
import torch

from crlso.latent.geometry import Ball
from crlso.latent.icnn import ConcaveEnsemble
from crlso.search.crlso import Aim, Crlso, climb, fit_ensemble
from crlso.search.scalarisation import draw_directions
from crlso.spaces import get_space


def test_members_learn_their_draws():
    z = Ball(3, 1.0).sample(400, torch.Generator().manual_seed(0))
    draws = torch.stack([-(z - centre).square().sum(dim=1) for centre in torch.tensor([[0.5, 0, 0], [0, -0.5, 0]])])
    ensemble = fit_ensemble(z, draws, torch.Generator().manual_seed(1))
    assert (ensemble(z) - draws).square().mean() < 0.05 * draws.var()


def test_a_climb_ends_near_each_member_s_maximum():
    ball = Ball(2, 1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ensemble = ConcaveEnsemble(2, 8, 2, 2).requires_grad_(False)
    starts = ball.sample(10, torch.Generator().manual_seed(2)).unflatten(0, (2, 5))
    path = climb(ensemble, Aim(torch.ones(2, 1), torch.zeros(1)), starts, ball).unflatten(0, (2, -1))
    grid = ball.project(torch.cartesian_prod(torch.linspace(-1, 1, 81), torch.linspace(-1, 1, 81)))
    best = ensemble(grid).amax(dim=1)
    assert (ensemble(path)[:, -5:] > best[:, None] - 0.02).all()
    assert (path.norm(dim=-1) <= 1 + 1e-6).all()


def test_an_aim_is_concave_where_its_scores_are():
    generator = torch.Generator().manual_seed(0)
    aim = Aim(draw_directions(3, 2, generator), torch.tensor([-1.0, 0.5]))
    a, b = torch.randn(2, 50, 2, generator=generator, dtype=torch.float64)
    assert (aim((a + b) / 2) >= (aim(a) + aim(b)) / 2 - 1e-12).all()


def test_it_finds_the_best_of_a_smooth_benchmark(accuracy, latent):
    space = get_space("nasbench201")
    strategy = Crlso(space, seed=0, latent=latent)
    best = max(accuracy(arch) for arch in strategy.pool.classes)
    for arch in strategy.ask(10):
        strategy.tell(arch, accuracy(arch))
    for _ in range(10):
        for arch in strategy.ask(5):
            strategy.tell(arch, accuracy(arch))
    assert max(told.values[0] for told in strategy.told) >= best - 0.5


def test_of_a_part_of_the_space_only_what_is_open_is_asked_for_and_no_latent_space_is_learned(accuracy, monkeypatch):
    monkeypatch.setattr("crlso.search.crlso.latent_space", None)
    space = get_space("nasbench201")
    opened = space.sample(300, np.random.default_rng(0))
    strategy = Crlso(space, seed=0, candidates=opened)
    for arch in strategy.ask(10):
        strategy.tell(arch, accuracy(arch))
    drawn = strategy.propose(5, np.random.default_rng(1))
    assert len({arch.key for arch in drawn}) == 5
    assert {arch.key for arch in drawn} <= {arch.key for arch in opened} - strategy.seen


def test_single_changes_of_the_best_join_where_classes_cannot_be_listed(latent):
    archs = get_space("mobile").sample(20, np.random.default_rng(0))
    values = np.arange(20.0)[:, None]
    listed, endless = (Crlso(get_space(name), seed=0, latent=latent) for name in ("nasbench201", "mobile"))
    found = {arch.text for arch in endless._changed(archs, values)}
    assert found == {other.text for arch in archs[-8:] for other in endless.pool.neighbours(arch)}
    assert listed._changed(listed.pool.classes[:20], values) == []


def test_several_objectives_are_asked_for(accuracy, latent):
    space = get_space("nasbench201")
    strategy = Crlso(space, seed=0, latent=latent, objectives=2)
    for arch in strategy.ask(10):
        strategy.tell(arch, accuracy(arch), -float(arch.text.count("3x3")))
    asked = strategy.ask(5)
    assert len({arch.key for arch in asked}) == 5
