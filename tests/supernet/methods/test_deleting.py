"""Deleting: the gradient of equation (1), and pairs that die for good and never the last of a node."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from crlso.exceptions import ProblemError
from crlso.spaces.darts_flexible import cells_of
from crlso.supernet.distributed import World
from crlso.supernet.methods.controller import ControllerSettings
from crlso.supernet.methods.fx_darts import FxDartsSettings
from crlso.supernet.methods.snps import SnpsSettings

EVERY = pytest.mark.parametrize("settings", [SnpsSettings, FxDartsSettings])
PUSHED = {  # a search that is over in a few steps
    "choice_learning_rate": 20.0,
    "controller": ControllerSettings(gamma=0.05, growth=1.2, rate=2.0),
}


def scattered(method, seed=0):
    """Architecture parameters apart from each other, none of them small."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        method.choice.alpha.uniform_(0.5, 2, generator=generator)
    return method


def spread(method, *shares):
    """Give the first pairs of every node these weights and the others none."""
    with torch.no_grad():
        for node in range(2, 6):
            numbers = [number for number, triple in enumerate(method.supernet.triples) if triple.node == node]
            w = torch.zeros(len(numbers))
            w[: len(shares)] = torch.tensor(shares)
            method.choice.alpha[:, numbers] = w if method.form == "relu" else w.log()


def clipped(gradients):
    """To a norm of 5 altogether."""
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * min(1.0, 5 / float(norm)) for g in gradients]


def written_out(name, w):
    """The two measures as their papers have them."""
    return (1 + 50 * w).log().sum() if name == "snps" else -(w * w.log()).sum()


def gradients_of_one(method, pieces, gamma, mu):
    """Autograd's of equation (1), L the mean over pieces, clipped apart."""
    supernet, choice = deepcopy(method.supernet), deepcopy(method.choice)
    total = 0
    for x, y in pieces:
        w = choice()
        loss, penalty = F.cross_entropy(supernet(x, w.unbind()), y), written_out(method.name, w)
        total = total + (loss * (1 + gamma * penalty) + gamma * mu * penalty) / len(pieces)
    *weights, alpha = torch.autograd.grad(total, [*supernet.parameters(), choice.alpha])
    return [*clipped(weights), *clipped([alpha])]


def found(method):
    return [parameter.grad for parameter in (*method.supernet.parameters(), method.choice.alpha)]


@EVERY
@pytest.mark.parametrize(("pieces", "gamma"), [(1, 30.0), (2, 0.3)], ids=["clipped", "in two pieces"])
def test_a_step_has_the_gradient_of_equation_1_with_constant_gamma_and_mu(begin, batch, settings, pieces, gamma):
    method = scattered(begin(settings(controller=ControllerSettings(gamma=gamma, mu=2.0))))
    cut = list(zip(*(tensor.tensor_split(pieces) for tensor in batch), strict=True))
    expected = gradients_of_one(method, cut, gamma, mu=2.0)
    method.step([batch], World(), pieces)
    for gradient, wanted in zip(found(method), expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def test_the_loss_of_a_step_is_the_tasks_alone(begin, batch):
    method = scattered(begin(SnpsSettings(controller=ControllerSettings(gamma=0.3, mu=2.0))))
    with torch.no_grad():
        expected = F.cross_entropy(deepcopy(method.supernet)(batch[0], method.weights().unbind()), batch[1])
    torch.testing.assert_close(method.step([batch], World(), 1), expected)


@EVERY
def test_a_warm_up_has_no_penalty_and_no_deaths(begin, batch, settings):
    method = scattered(begin(settings(warmup=2, controller=ControllerSettings(gamma=0.3, mu=2.0))))
    method.begin_epoch(1)
    expected = gradients_of_one(method, [batch], gamma=0.0, mu=0.0)
    method.step([batch], World(), 1)
    for gradient, wanted in zip(found(method), expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)
    spread(method, 0.995, 0.005)
    state = method.controller.state()
    assert not method.prune()
    assert all(map(all, method.supernet.alive))
    assert method.controller.state() == state
    assert not method.finished
    method.begin_epoch(2)
    method.prune()
    assert {sum(alive) for alive in method.supernet.alive} == {4}
    assert method.finished


def test_deaths_wait_for_a_look(begin, batch):
    method = begin(SnpsSettings(look=3))
    for step in (1, 2, 3):
        method.step([batch], World(), 1)
        spread(method, 0.5, 0.5)
        method.prune()
        assert sum(map(sum, method.supernet.alive)) == (3 * 4 * 2 if step == 3 else 3 * 14 * 3)


@pytest.fixture(scope="module", params=[SnpsSettings, FxDartsSettings])
def shrunk(request, begin, batch):
    """What there was after each step of a search that goes to its end."""
    method = begin(request.param(**PUSHED))
    moments = []
    while not method.finished and len(moments) < 60:
        method.step([batch], World(), 1)
        method.prune()
        optimizer = method.optimizers["weights"]
        parameters = optimizer.param_groups[0]["params"]
        (arch,) = method.derive()
        moments.append(
            {
                "alive": torch.tensor(method.supernet.alive),
                "chosen": method.choice.alive.clone(),
                "weights": method.weights().detach(),
                "living": [id(parameter) for parameter in method.supernet.parameters()],
                "optimised": [id(parameter) for parameter in parameters],
                "kept": [id(parameter) for parameter in optimizer.state],
                "shapes": [(parameter.shape, optimizer.state[parameter]["exp_avg"].shape) for parameter in parameters],
                "pairs": {
                    (cell, node, *pair)
                    for cell, nodes in enumerate(method.supernet.kept())
                    for node, pairs in enumerate(nodes)
                    for pair in pairs
                },
                "text": arch.text,
                "space": method.setup.space,
            }
        )
    assert method.finished
    return method, moments


def test_what_lives_only_shrinks(shrunk):
    _, moments = shrunk
    counts = [int(moment["alive"].sum()) for moment in moments]
    assert len(set(counts)) > 3, "deaths at several moments"
    for before, after in pairwise(moments):
        assert (after["alive"] <= before["alive"]).all()
        assert after["pairs"] <= before["pairs"]


def test_every_node_keeps_a_pair_and_a_distribution(shrunk):
    method, moments = shrunk
    nodes = torch.tensor([triple.node for triple in method.supernet.triples])
    for moment in moments:
        assert torch.equal(moment["alive"], moment["chosen"])
        w = moment["weights"]
        assert (w[moment["alive"]] >= method.settings.baseline).all()
        assert not w[~moment["alive"]].any()
        for node in range(2, 6):
            assert moment["alive"][:, nodes == node].any(dim=1).all()
            torch.testing.assert_close(w[:, nodes == node].sum(dim=1), torch.ones(len(w)))


def test_the_optimiser_has_exactly_the_living_parameters(shrunk):
    _, moments = shrunk
    assert sum(a.numel() for a, _ in moments[-1]["shapes"]) < sum(a.numel() for a, _ in moments[0]["shapes"])
    for moment in moments:
        assert moment["optimised"] == moment["living"]
        assert set(moment["kept"]) == set(moment["living"])
        assert all(own == of_its_momentum for own, of_its_momentum in moment["shapes"])


def test_the_architecture_that_stands_is_all_that_lives(shrunk):
    _, moments = shrunk
    for moment in (moments[0], moments[-1]):
        cells = cells_of(moment["space"].parse(moment["text"]))
        pairs = {
            (cell, node, *pair)
            for cell, nodes in enumerate(cells)
            for node, pairs in enumerate(nodes)
            for pair in pairs
        }
        assert pairs == moment["pairs"]


@pytest.mark.parametrize(
    ("settings", "shares", "over"),
    [
        (SnpsSettings, (1.0,), True),  # log 51 = 3.9 a node
        (SnpsSettings, (0.5, 0.5), True),  # 2 log 26 = 6.5
        (SnpsSettings, (0.4, 0.3, 0.3), False),  # 8.5, above 7.8
        (FxDartsSettings, (0.5, 0.5), True),  # log 2 = 0.69
        (FxDartsSettings, (0.4, 0.3, 0.3), False),  # 1.09, above 0.9
    ],
)
def test_a_search_is_over_when_the_penalty_is_small_enough(begin, settings, shares, over):
    method = begin(settings())
    assert not method.finished
    spread(method, *shares)
    method.prune()
    assert method.finished == over
    expected = 12 * float(written_out(method.name, torch.tensor(shares)))
    assert method.traced()["penalty"] == pytest.approx(expected, rel=1e-4)
    assert (expected < method.settings.enough * 12) == over


@EVERY
def test_a_baseline_that_all_pairs_of_a_node_could_be_below_is_refused(begin, settings):
    """Node 5 reads five inputs by three operations; the strongest of 15 weights is a fifteenth at least."""
    with pytest.raises(ProblemError, match=r"all 15 pairs .* take one below 0\.0667"):
        begin(settings(baseline=0.07))
    method = begin(settings(baseline=0.066))
    method.prune()
    assert all(map(all, method.supernet.alive))
