"""The losses vanish where volumes match, and each of them teaches what it should."""

import numpy as np
import pytest
import torch

from crlso.latent.config import LatentConfig
from crlso.latent.geometry import score_at
from crlso.latent.objectives import OBJECTIVES, PublishedObjective, Reconstruction, Targets, VolumeMatching
from crlso.latent.population import Population
from crlso.latent.vae import GraphVAE, Posterior
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()
EVERY = {**OBJECTIVES, "unlabelled": Reconstruction}
SIZES = {"latent": 3, "hidden": 12, "decoder_hidden": 12, "icnn_hidden": 6, "members": 2}


def make(population, targets, objective="volume-matched", batch=64):
    torch.manual_seed(0)
    name = objective if objective in OBJECTIVES else "volume-matched"
    model = GraphVAE(LatentConfig(objective=name, batch=batch, **SIZES), SPACE.schema)
    found = EVERY[objective](model, targets, model.collate(arch.graph for arch in population.representatives))
    found.start_epoch()
    return model, found


def losses_at(objective, mean, seed=0):
    batch = torch.arange(len(mean))
    return objective(batch, Posterior(mean, torch.zeros_like(mean)), torch.Generator().manual_seed(seed))


def matched(model, targets):
    """Latents at their radii, and a paraboloid of the same score everywhere in every member."""
    torch.manual_seed(1)
    direction = torch.nn.functional.normalize(torch.randn(len(targets.quantiles), model.ball.dims), dim=1)
    with torch.no_grad():
        model.ensemble.log_output.fill_(-torch.inf)
        model.ensemble.log_curvature.fill_(np.log(2 / model.ball.radius**2))
    return model.ball.radius_at(targets.quantiles)[:, None] * direction


def test_names_are_those_of_the_settings():
    assert OBJECTIVES["volume-matched"] is VolumeMatching
    assert OBJECTIVES["cr-lso"] is PublishedObjective


def test_radius_score_and_quantile_vanish_where_everything_has_its_place(population, targets):
    model, objective = make(population, targets)
    z = matched(model, targets)
    losses = losses_at(objective, z)
    for name in ("radius", "score", "quantile"):
        assert losses[name].item() == pytest.approx(0, abs=1e-6), name
        assert losses_at(objective, 0.9 * z)[name] > 1e-4, name


def test_volume_vanishes_as_draws_become_many(population, targets):
    """The prior mass of a ball of radius r(q) is q: with the matched score only sampling noise is left."""
    losses = []
    for batch in (64, 4096):
        model, objective = make(population, targets, batch=batch)
        z = matched(model, targets)
        losses.append(losses_at(objective, z)["volume"].item())
    assert losses[1] < 0.1 * losses[0]
    assert losses[1] < 1e-3
    with torch.no_grad():
        model.ensemble.offset += 0.2
    assert losses_at(objective, z)["volume"].item() == pytest.approx(0.04, abs=0.01)


class Ranked(torch.nn.Module):
    """Gives points certain scores by the order of their distance from the centre."""

    def __init__(self, levels):
        super().__init__()
        self.levels = levels

    def forward(self, z):
        return self.levels[z.norm(dim=1).argsort().argsort()].expand(2, -1)


def test_volume_is_zero_for_equal_distributions_in_any_order(population, targets):
    model, objective = make(population, targets)
    rows = torch.linspace(0, len(targets.ranking) - 1, 64).long()
    levels = score_at(targets.ranking[rows], 3)
    del model.ensemble
    for order in (torch.arange(64), torch.arange(63, -1, -1), torch.randperm(64)):
        model.ensemble = Ranked(levels[order])
        assert losses_at(objective, torch.randn(64, 3))["volume"].item() == 0
    model.ensemble = Ranked(levels + 0.5)
    assert losses_at(objective, torch.randn(64, 3))["volume"].item() == pytest.approx(0.25)


def test_every_point_is_to_decode_to_the_nearest_architecture(population, targets):
    """With all latents far away but one, that one is what the whole ball is taught."""
    model, objective = make(population, targets)
    objective.latents = torch.full_like(objective.latents, 1e3)
    objective.latents[7] = 0
    taught = []
    model.decoder.cross_entropy = lambda *asked: taught.append(asked) or torch.zeros(())
    losses_at(objective, 1e3 * torch.ones(5, 3))
    _, (points, graphs) = taught
    assert (points.norm(dim=1) <= model.ball.radius * (1 + 1e-6)).all()
    assert (graphs.edge_types == targets.graphs.edge_types[7]).all()
    assert (graphs.node_types == targets.graphs.node_types[7]).all()


@pytest.mark.parametrize("objective", EVERY)
def test_losses_are_finite_never_negative_and_follow_the_generator(population, forest, targets, objective):
    model, found = make(population, targets, objective)
    batch = torch.arange(32)
    posterior = model.posterior(forest.subset(batch))
    losses, again, other = (found(batch, posterior, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    for name, loss in losses.items():
        assert loss.shape == ()
        assert loss.isfinite()
        assert loss >= 0
        assert loss == again[name]
    assert losses["reconstruction"] != other["reconstruction"]
    assert set(losses) <= set(LatentConfig.model_fields), "each loss has a weight"


REACHED = {
    "volume-matched": {
        "reconstruction": {"encoder", "head", "decoder"},
        "radius": {"encoder", "head"},
        "score": {"encoder", "head", "ensemble"},
        "quantile": {"encoder", "head", "ensemble"},
        "volume": {"ensemble"},
        "tessellation": {"decoder"},
    },
    "cr-lso": {
        "reconstruction": {"encoder", "head", "decoder"},
        "score": {"encoder", "head", "ensemble"},
        "divergence": {"encoder", "head"},
    },
    "unlabelled": {"reconstruction": {"encoder", "head", "decoder"}},
}


@pytest.mark.parametrize("objective", EVERY)
def test_gradients_reach_what_they_should(population, forest, targets, objective):
    model, found = make(population, targets, objective)
    batch = torch.arange(32)
    posterior = model.posterior(forest.subset(batch))
    losses = found(batch, posterior, torch.Generator().manual_seed(0))
    assert losses.keys() == REACHED[objective].keys()
    for name, loss in losses.items():
        model.zero_grad()
        loss.backward(retain_graph=True)
        reached = {
            part.split(".")[0]
            for part, parameter in model.named_parameters()
            if parameter.grad is not None and parameter.grad.any()
        }
        assert reached == REACHED[objective][name], name


@pytest.mark.parametrize(
    ("objective", "name"), [(objective, name) for objective, names in REACHED.items() for name in names]
)
def test_each_loss_can_be_lowered(population, forest, targets, objective, name):
    model, found = make(population, targets, objective)
    batch, optimizer, seen = torch.arange(len(population)), torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(15):
        losses = found(batch, model.posterior(forest), torch.Generator().manual_seed(0))
        seen.append(losses[name].item())
        optimizer.zero_grad()
        losses[name].backward()
        optimizer.step()
    assert seen[-1] < 0.98 * seen[0]


def targets_of(population, values, known, mass):
    costs = np.array([[1.0, 2.0], [10.0, 2.0 * np.e], [100.0, 2.0 * np.e**2]])
    some = Population(population.representatives[:3], mass, {})
    return Targets(some, SPACE.schema, values, known, costs, torch.device("cpu"))


def test_targets_of_three_classes(population):
    values, known = np.array([80.0, np.nan, 90.0]), np.array([True, False, True])
    got = targets_of(population, values, known, np.array([4, 5, 1]))
    assert got.quantiles.tolist() == pytest.approx([0.6, 1.0, 0.1])
    assert got.ranking.tolist() == pytest.approx([0.1, 0.6, 0.6, 0.6, 0.6])
    assert got.weights.tolist() == pytest.approx([4 / 3, 0.0, 2 / 3])
    assert got.fractions.tolist() == pytest.approx([8 / 9, 0.0, 1.0])
    for code, arch in enumerate(population.representatives[:3]):
        assert got.graphs.edge_types[code].tolist() == arch.graph.edge_types.tolist()
        assert got.graphs.node_types[code].tolist() == arch.graph.node_types.tolist()


def test_without_labels_there_are_architectures_and_costs_to_learn(population):
    got = targets_of(population, np.full(3, np.nan), np.zeros(3, dtype=bool), np.ones(3, dtype=int))
    assert not got.labelled
    assert got.costs.isfinite().all()


def test_costs_are_standardised_logarithms(population):
    got = targets_of(population, np.ones(3), np.ones(3, dtype=bool), np.ones(3, dtype=int))
    standard = [-(1.5**0.5), 0.0, 1.5**0.5]
    assert got.costs[:, 0].tolist() == pytest.approx(standard, abs=1e-6)
    assert got.costs[:, 1].tolist() == pytest.approx(standard, abs=1e-6)
    back = (got.costs * got.cost_scale + got.cost_center).exp()
    assert back[:, 0].tolist() == pytest.approx([1, 10, 100], rel=1e-5)
