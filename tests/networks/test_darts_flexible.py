"""Flexible networks against torch's counters, against DARTS' own and against equation (1)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

import crlso.networks
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.networks import darts
from crlso.networks.costs import Costs
from crlso.networks.darts_flexible import FlexibleNetwork, build, costs
from crlso.spaces.darts import Darts
from crlso.spaces.darts_flexible import FlexibleDarts, cells_of, from_darts

SMALL, FULL = FlexibleDarts("darts-flexible-dnad", 4), FlexibleDarts("darts-flexible", 5)
GENOTYPES = Darts().sample(30, np.random.default_rng(0))
EMBEDDED = [arch for arch in GENOTYPES if arch.text.count("none") in (0, 1)]  # a pair of none leaves a node one pair
ARCH, *_ = SMALL.sample_sized(1, np.random.default_rng(1), 2.0)


def small(arch=ARCH, **options):
    return FlexibleNetwork(arch, 10, (3, 16, 16), width=4, **options)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    space=st.sampled_from([SMALL, FULL]),
    num_classes=st.integers(1, 200),
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    width=st.integers(1, 9),
)
def test_costs_are_what_torch_counts(seed, space, num_classes, input_shape, width):
    (arch,) = space.sample(1, np.random.default_rng(seed))
    with torch.device("meta"):
        network = FlexibleNetwork(arch, num_classes, input_shape, width=width, auxiliary=False)
        with FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(2, *input_shape))
    counted = Costs(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 2)
    assert costs(arch, num_classes, input_shape, width=width) == counted


def ones(arch):
    return [[[1.0] * len(node) for node in cell] for cell in cells_of(arch)]


@pytest.mark.parametrize("genotype", EMBEDDED, ids=lambda arch: f"{arch.text.count('none')} none")
def test_a_genotype_has_the_costs_that_it_has_in_darts_and_as_a_sum_without_pools_its_network(genotype):
    """On copied weights the same numbers, in training too."""
    arch = from_darts(genotype, FULL)
    assert costs(arch, 7, (3, 33, 20), width=6) == darts.costs(genotype, 7, (3, 33, 20), width=6, cells=5)
    text = genotype.text.replace("max_pool_3x3", "sep_conv_3x3").replace("avg_pool_3x3", "dil_conv_5x5")
    genotype = Darts().parse(text)
    arch = from_darts(genotype, FULL)
    theirs = darts.DartsNetwork(genotype, 10, (3, 16, 16), width=4, cells=5)
    ours = small(arch, coefficients=ones(arch))
    names = [name for name in ours.state_dict() if "coefficients" not in name]
    weights = theirs.state_dict().values()  # in the order of the pairs, of which none has no weights
    ours.load_state_dict(dict(zip(names, weights, strict=True)), strict=False)
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        for a, b in zip(theirs(images), ours(images), strict=True):
            assert_close(b, a)
        assert_close(ours.eval()(images), theirs.eval()(images))


def test_the_same_seed_gives_the_same_weights_here_and_in_darts():
    genotype = next(arch for arch in EMBEDDED if "none" not in arch.text)
    torch.manual_seed(0)
    theirs = darts.build(genotype, 10, (3, 8, 8), width=4, cells=5)
    torch.manual_seed(0)
    ours = build(from_darts(genotype, FULL), 10, (3, 8, 8), width=4)
    assert dict(theirs.named_parameters()).keys() == dict(ours.named_parameters()).keys()
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))


@pytest.mark.parametrize("scaled", [False, True])
def test_nodes_are_the_means_of_their_pairs_or_weighted_sums(scaled):
    """Equation (1), term by term."""
    rng = np.random.default_rng(2)
    cells = cells_of(ARCH)
    coefficients = [[[float(rng.uniform(0.1, 2)) for _ in node] for node in cell] for cell in cells]
    network = small(coefficients=coefficients if scaled else None).eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        before_last = last = network.stem(images)
        for cell, factors, module in zip(cells, coefficients, network.cells, strict=True):
            values = [module.preprocess[0](before_last), module.preprocess[1](last)]
            operations = iter(module.operations)
            for node, node_factors in zip(cell, factors, strict=True):
                terms = [next(operations)(values[source]) for _, source in node]
                means = [1 / len(node)] * len(node)
                values.append(sum(c * x for c, x in zip(node_factors if scaled else means, terms, strict=True)))
            before_last, last = last, torch.cat(values[2:], dim=1)
        assert_close(network(images), network.head(last))


def test_coefficients_are_kept_with_the_weights_and_not_trained():
    """So that a network which was trained with others is not taken for this one."""
    network, sums = small(), small(coefficients=ones(ARCH))
    assert not any("coefficients" in name for name, _ in network.named_parameters())
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(sums.eval()(images), network.eval()(images))
        network.load_state_dict(sums.state_dict())
        assert torch.equal(sums(images), network(images))


@pytest.mark.parametrize("pairs", [1.0, 4.0, 14.0])
def test_values_do_not_grow_with_the_number_of_pairs(pairs):
    """What enters a node, skips aside, has a root mean square of at most 1, and a mean has that of its largest term."""
    (arch,) = FULL.sample_sized(1, np.random.default_rng(0), pairs)
    torch.manual_seed(0)
    network, largest = small(arch), []
    for cell in network.cells:
        cell.register_forward_hook(lambda _module, _given, x: largest.append(x.square().mean(dim=(0, 2, 3)).max()))
    with torch.no_grad():
        network(torch.randn(16, 3, 16, 16))
    assert len(largest) == 5
    assert max(largest) <= 1 + 1e-5


def test_a_pool_is_normalised_and_learns_nothing():
    pools = [[("max_pool_3x3", 0), ("avg_pool_3x3", 1)]] * 4
    cell = small(FULL.from_cells([pools] * 5)).cells[0]
    x = 3 + torch.randn(16, 4, 16, 16)
    for pool in cell.operations:
        y = pool(x)
        assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
        assert_close(y.var(dim=(0, 2, 3), correction=0), torch.ones(4), atol=1e-3, rtol=0)
        assert not list(pool.parameters())


def test_coefficients_that_fit_no_pairs_are_refused_with_those_that_do():
    with pytest.raises(ProblemError, match=r"coefficients for pairs .* the architecture has"):
        small(coefficients=[[[1.0]] * 4] * 3)


def test_drop_path_and_the_auxiliary_classifier_are_those_of_darts():
    network, images = small(), torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        plain, auxiliary = network(images)
        network.drop_path = 0.5
        assert not torch.equal(network(images)[0], plain)
        assert_close(network.eval()(images), network(images))
    assert plain.shape == auxiliary.shape == network(images).shape == (4, 10)
    assert small(auxiliary=False).auxiliary is None


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 21)])
def test_dense_architectures_train_on_images_of_any_size(shape):
    (arch,) = SMALL.sample(1, np.random.default_rng(0))
    logits, auxiliary = FlexibleNetwork(arch, 10, shape, width=4)(torch.randn(3, *shape))
    (logits.square().sum() + auxiliary.square().sum()).backward()
    assert logits.shape == auxiliary.shape == (3, 10)


def test_skips_that_keep_the_size_are_identities():
    skips = [[("skip_connect", 0), ("skip_connect", 1)]] * 4
    network = small(SMALL.from_cells([skips] * 4))
    kinds = [{type(op) is nn.Identity for op in cell.operations} for cell in network.cells]
    assert kinds == [{True}, {False}, {False}, {True}]


def test_every_depth_is_built_and_priced_by_the_dispatch():
    for space in (FlexibleDarts("darts-flexible-dnad"), FlexibleDarts("darts-flexible", 3)):
        (arch,) = space.sample_sized(1, np.random.default_rng(0), 1.5)
        assert crlso.networks.has_networks(space.name)
        network = crlso.networks.build(arch, 10, (3, 32, 32), device="meta", dtype=torch.float64)
        counted = sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in network.auxiliary.parameters())
        assert counted == crlso.networks.costs(arch).params
        assert {p.dtype for p in network.parameters()} == {torch.float64}
    assert not crlso.networks.has_networks("darts@5")


def test_architectures_of_other_spaces_are_refused():
    with pytest.raises(ArchitectureError, match="no flexible space"):
        build(GENOTYPES[0], 10, (3, 32, 32))
