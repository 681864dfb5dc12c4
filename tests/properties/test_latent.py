"""Properties of the latent space for any weights, sizes and points."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from crlso.architecture import Graph
from crlso.graphs import Forest
from crlso.latent.calibration import ConcaveCalibration
from crlso.latent.config import LatentConfig
from crlso.latent.geometry import Ball, class_quantiles
from crlso.latent.icnn import ConcaveEnsemble
from crlso.latent.vae import GraphVAE
from crlso.spaces import get_space, space_names
from crlso.spaces.darts_flexible import FAMILIES

seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(["squareplus", "leaky_relu"])
sizes = st.fixed_dictionaries({
    "latent": st.integers(1, 8), "hidden": st.integers(1, 12), "layers": st.integers(1, 4), "members": st.integers(1, 3)
})  # fmt: skip
SPACES = pytest.mark.parametrize("name", [*sorted({*space_names()} - {*FAMILIES}), "darts-flexible-dnad@3"])
OBJECTIVES = pytest.mark.parametrize("objective", ["volume-matched", "cr-lso"])


def vae_of(name, seed, objective):
    torch.manual_seed(seed)
    config = LatentConfig(objective=objective, latent=4, hidden=8, decoder_hidden=8, icnn_hidden=4, members=2)
    return GraphVAE(config, get_space(name).schema).requires_grad_(False)


def random_order(graph, rng):
    """A topological order of the graph's nodes."""
    order, left = [], list(range(graph.num_nodes))
    while left:
        ready = [node for node in left if not graph.edge_types[left, node].any()]
        order.append(int(rng.choice(ready)))
        left.remove(order[-1])
    return order


@SPACES
@OBJECTIVES
@settings(max_examples=20)
@given(seed=seeds)
def test_latents_do_not_depend_on_the_order_of_nodes_or_on_the_twin(name, objective, seed):
    space, rng = get_space(name), np.random.default_rng(seed)
    archs = space.sample(8, rng)
    orders = [random_order(arch.graph, rng) for arch in archs]
    relabelled = [
        Graph(arch.graph.node_types[order], arch.graph.edge_types[np.ix_(order, order)])
        for arch, order in zip(archs, orders, strict=True)
    ]
    graphs = [*(arch.graph for arch in archs), *relabelled, *(space.canonical(arch).graph for arch in archs)]
    first, second, third = vae_of(name, seed, objective).encode(Forest.of(graphs, space.schema)).split(8)
    assert torch.equal(first, second)
    if not space.schema.parts:  # a set of operations is one operation to a forest: there `canonical` comes first
        assert torch.equal(first, third)


@SPACES
@OBJECTIVES
@settings(max_examples=20)
@given(seed=seeds, scale=st.floats(0, 1e6))
def test_any_latent_decodes_to_an_architecture(name, objective, seed, scale):
    space, vae = get_space(name), vae_of(name, seed, objective)
    nodes, edges = vae.decoder(scale * torch.randn(10, 4))
    for arch in space.decode(nodes.numpy(), edges.numpy()):
        assert space.parse(arch.text).text == arch.text


@settings(max_examples=50)
@given(seed=seeds, sizes=sizes, activation=activations, spread=st.floats(0, 3), scale=st.floats(1e-3, 1e3))
def test_any_weights_are_concave(seed, sizes, activation, spread, scale):
    torch.manual_seed(seed)
    ensemble = ConcaveEnsemble(**sizes, activation=activation)
    ends = scale * torch.randn(2, 200, sizes["latent"])
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
        left, right, middle = (ensemble(z) for z in (*ends, ends.mean(dim=0)))
    values = torch.cat([left, right, middle], dim=1)
    tolerance = 1e-5 * (values.amax(dim=1) - values.amin(dim=1)) + 1e-6 * values.abs().amax(dim=1)
    assert (middle >= (left + right) / 2 - tolerance[:, None]).all()


@settings(max_examples=50)
@given(seed=seeds, sizes=sizes, activation=activations, spread=st.floats(0, 2))
def test_the_closed_form_gradient_is_that_of_autograd(seed, sizes, activation, spread):
    torch.manual_seed(seed)
    ensemble = ConcaveEnsemble(**sizes, activation=activation).double()
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    z = torch.randn(5, sizes["latent"], dtype=torch.float64, requires_grad=True)
    mean = ensemble(z).mean(dim=0)
    (wanted,) = torch.autograd.grad(mean.sum(), z)
    score, gradient = map(torch.from_numpy, ensemble.gathered()(z.detach().numpy().T))
    torch.testing.assert_close(score, mean.detach())
    torch.testing.assert_close(gradient.T, wanted)


def exact_maximum(ensemble, bound):
    """Largest score in the box [-bound, bound]^Z of one member without curvature and of one layer, by linprog.

    Minimise v·h + a·z subject to h ≥ x, h ≥ slope·x and x = X z + b: since v ≥ 0, one of the two is tight.
    """
    slope = float(ensemble.activate(torch.tensor(-1.0))[1])
    into, bias = ensemble.inputs[0][0].numpy().T, ensemble.biases[0][0, 0].numpy()
    unit = -np.eye(len(bias))
    rows = np.block([[into, unit], [slope * into, unit]])
    cost = np.concatenate([ensemble.linear[0, 0].numpy(), ensemble.log_output[0, 0].exp().numpy()])
    box = [(-bound, bound)] * into.shape[1] + [(None, None)] * len(bias)
    return -linprog(cost, rows, np.concatenate([-bias, -slope * bias]), bounds=box).fun - float(ensemble.offset)


@torch.no_grad()
@settings(max_examples=25)
@given(seed=seeds, latent=st.integers(1, 6), hidden=st.integers(1, 16), bound=st.floats(0.1, 10))
def test_no_ascent_rises_above_the_optimum_of_the_linear_program(seed, latent, hidden, bound):
    """One layer here; tests/latent/test_icnn.py has deep ones."""
    torch.manual_seed(seed)
    ensemble = ConcaveEnsemble(latent, hidden, 1, 1, "leaky_relu").double()
    ensemble.linear.normal_()
    ensemble.log_curvature.fill_(-torch.inf)
    best, surrogate = exact_maximum(ensemble, bound), ensemble.gathered()
    z = np.random.default_rng(seed).uniform(-bound, bound, (latent, 16))
    for step in range(50):
        score, gradient = surrogate(z)
        assert score.max() <= best + 1e-7 * (1 + abs(best))
        direction = gradient / np.linalg.norm(gradient, axis=0).clip(min=1e-12)
        z = (z + bound / (step + 1) * direction).clip(-bound, bound)


@given(seed=seeds, dims=st.integers(1, 20), radius=st.floats(1e-2, 1e2), scale=st.floats(0, 1e3))
def test_projection_is_idempotent_and_never_moves_points_apart(seed, dims, radius, scale):
    torch.manual_seed(seed)
    ball = Ball(dims, radius)
    x, y = scale * torch.randn(2, 20, dims, dtype=torch.float64)
    there, here = ball.project(x), ball.project(y)
    assert (there.norm(dim=1) <= radius * (1 + 1e-12)).all()
    torch.testing.assert_close(ball.project(there), there, rtol=1e-12, atol=0)
    assert ((there - here).norm(dim=1) <= (x - y).norm(dim=1) * (1 + 1e-9)).all()


@given(
    values=arrays(np.float64, 30, elements=st.integers(-5, 5).map(float)),
    mass=arrays(np.int64, 30, elements=st.integers(1, 9)),
    known=arrays(bool, 30).filter(np.any),
)
def test_quantiles_order_classes_and_average_to_a_half(values, mass, known):
    quantiles = class_quantiles(values, mass, known)
    assert np.average(quantiles[known], weights=mass[known]) == pytest.approx(0.5)
    assert (quantiles[~known] == 1).all()
    better = values[known][:, None] > values[known]
    assert ((quantiles[known][:, None] < quantiles[known]) == better).all()


@settings(max_examples=50)
@given(
    scores=arrays(np.float64, 40, elements=st.floats(-10, 0), unique=True),
    values=arrays(np.float64, 40, elements=st.floats(-100, 100)),
)
def test_a_calibration_is_concave_and_never_falls(scores, values):
    calibration = ConcaveCalibration().double()
    calibration.fit(scores, values)
    calibrated = calibration(torch.linspace(-12, 2, 500, dtype=torch.float64)).numpy()
    tolerance = 1e-9 * (1 + np.abs(calibrated).max())
    assert (np.diff(calibrated) >= -tolerance).all()
    assert (np.diff(calibrated, 2) <= tolerance).all()
    assert calibrated[-1] == pytest.approx(calibration.ceiling.item())
