"""The supernet is the plain sum of its pairs, before and after kills, and what dies had never mattered."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.networks.darts_flexible import FlexibleNetwork
from crlso.spaces.darts_flexible import FlexibleDarts, cells_of
from crlso.supernet.network import FlexibleSupernet, shrink_optimizer, slice_weights

NAMES = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
SHAPE = (3, 8, 8)
X = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % 4


def build(names=NAMES, **options):
    torch.manual_seed(0)
    network = FlexibleSupernet(names, 4, SHAPE, width=4, cells=3, **options)
    with torch.no_grad():
        network(X, weights(network))  # running statistics of their own
    return network


def weights(network, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(len(network.triples), generator=generator).to(dtype).requires_grad_() for _ in network.cells]


def kill_some(network, seed=2, share=0.6):
    """Let random pairs die, the first of each node excepted."""
    generator, changes = torch.Generator().manual_seed(seed), []
    firsts = {min(n for n, t in enumerate(network.triples) if t.node == node) for node in range(2, 6)}
    for cell in range(len(network.cells)):
        dying = (torch.rand(len(network.triples), generator=generator) < share).nonzero().flatten().tolist()
        changes += network.kill(cell, set(dying) - firsts)
    return changes


class Alone(nn.Module):
    """The network of a slice, in the plainest form."""

    def __init__(self, network, kept):
        super().__init__()
        self.slice = slice_weights(network, kept)
        self.numbers = {triple: number for number, triple in enumerate(network.triples)}
        self.parts = nn.ModuleList(
            [self.slice.stem, self.slice.head]
            + [cell.preprocess for cell in self.slice.cells]
            + [module for cell in self.slice.cells for module in cell.operations.values()]
        )
        self.train(network.training)

    def forward(self, x, weights):
        before_last = last = self.slice.stem(x)
        for cell, w in zip(self.slice.cells, weights, strict=True):
            values = [module(x) for module, x in zip(cell.preprocess, (before_last, last), strict=True)]
            for node in range(2, 6):
                values.append(
                    sum(
                        w[self.numbers[t]] * op(values[t.source]) for t, op in cell.operations.items() if t.node == node
                    )
                )
            before_last, last = last, torch.cat(values[2:], dim=1)
        return self.slice.head(last)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("killed", [False, True])
def test_the_supernet_is_the_plain_network_of_its_slice(training, killed):
    """In double precision, since rounding may move a value across a kink of ReLU or of a maximum."""
    network = build().double()
    if killed:
        kill_some(network)
    network.train(training)
    alone = Alone(network, network.kept())
    ours, theirs = weights(network, dtype=torch.float64), weights(network, dtype=torch.float64)
    logits, expected = network(X.double(), ours), alone(X.double(), theirs)
    assert_close(logits, expected)
    F.cross_entropy(logits, Y).backward()
    F.cross_entropy(expected, Y).backward()
    for w, other in zip(ours, theirs, strict=True):
        assert_close(w.grad, other.grad)
    assert_close(network.stem[0].weight.grad, alone.slice.stem[0].weight.grad)
    for cell, other in zip(network.cells, alone.slice.cells, strict=True):
        for triple, module in other.operations.items():
            operation = cell.operations[f"{triple.operation}_{cell.stride(triple)}"]
            row = cell._instances[f"{triple.operation}_{cell.stride(triple)}"].index(alone.numbers[triple])
            convolutions = [child for child in module.modules() if isinstance(child, nn.Conv2d)]
            for stacked, convolution in zip(operation.filters(), convolutions, strict=True):
                expected = convolution.weight.grad.view(stacked.shape[1:])
                assert_close(stacked.grad[row], expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("equal", [True, False])
def test_the_network_trained_alone_is_the_function_that_the_supernet_was(training, equal):
    """With the weights of its slice, and those of its pairs as coefficients; equal ones are what it has by itself."""
    supernet = build().double()
    kill_some(supernet)
    supernet.train(training)
    arch = FlexibleDarts("darts-flexible", 3).from_cells(supernet.kept())
    kept, numbers = cells_of(arch), {triple: number for number, triple in enumerate(supernet.triples)}
    mixed = [w.detach() for w in weights(supernet, dtype=torch.float64)]
    coefficients = []
    for cell, w in zip(kept, mixed, strict=True):
        rows = [[numbers[n, source, name] for name, source in node] for n, node in enumerate(cell, start=2)]
        for row in rows:
            w[row] = 1 / len(row) if equal else w[row] / w[row].sum()
        coefficients.append([w[row].tolist() for row in rows])
    options = {} if equal else {"coefficients": coefficients}
    alone = FlexibleNetwork(arch, 4, SHAPE, width=4, auxiliary=False, **options).double().train(training)
    part = slice_weights(supernet, kept)
    alone.stem.load_state_dict(part.stem.state_dict())
    alone.head.load_state_dict(part.head.state_dict())
    for cell, other in zip(alone.cells, part.cells, strict=True):
        cell.preprocess.load_state_dict(other.preprocess.state_dict(), strict=False)
        cell.operations.load_state_dict(nn.ModuleList(other.operations.values()).state_dict(), strict=False)
    with torch.no_grad():
        # coefficients are single
        assert_close(alone(X.double()), supernet(X.double(), mixed), atol=1e-5, rtol=1e-5)


def test_a_part_of_the_living_pairs_is_the_supernet_with_zero_weights():
    network = build().eval()
    kept = tuple(tuple(node[:2] for node in cell) for cell in network.kept())
    masked = []
    for cell, w in zip(kept, weights(network), strict=True):
        living = [(t.operation, t.source) in cell[t.node - 2] for t in network.triples]
        masked.append(w.detach() * torch.tensor(living))
    assert_close(Alone(network, kept)(X, masked), network(X, masked), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_dead_pair_is_one_of_weight_zero(training):
    network, other = build(), build()
    kill_some(network)
    alive = [torch.tensor(cell) for cell in network.alive]
    assert all(0 < cell.sum() < len(cell) for cell in alive)
    network.train(training)
    other.train(training)
    ours, masked = weights(network), [w.detach() * a for w, a in zip(weights(network), alive, strict=True)]
    assert_close(network(X, ours), other(X, masked), atol=1e-5, rtol=1e-5)
    network(X, ours).sum().backward()
    for w, a in zip(ours, alive, strict=True):
        assert not w.grad[~a].any()


def test_kills_shrink_the_network_and_never_revive():
    network = build()
    before, size = network.alive, sum(p.numel() for p in network.parameters())
    for seed in range(3):
        kill_some(network, seed, share=0.3)
        after, smaller = network.alive, sum(p.numel() for p in network.parameters())
        assert all(a <= b for x, y in zip(after, before, strict=True) for a, b in zip(x, y, strict=True))
        assert smaller < size
        before, size = after, smaller


def test_the_last_pair_of_a_node_cannot_die():
    network = build()
    entering = [number for number, triple in enumerate(network.triples) if triple.node == 3]
    with pytest.raises(ProblemError, match="node 3"):
        network.kill(0, entering)
    network.kill(0, entering[:-1])
    with pytest.raises(ProblemError, match="last pair"):
        network.kill(0, entering[-1:])
    assert network.kill(0, entering[:-1]) == []
    assert [len(node) for node in network.kept()[0]] == [8, 1, 16, 20]


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.Adam(parameters, 1e-2, amsgrad=True),
        lambda parameters: torch.optim.SGD(parameters, 1e-2, momentum=0.9, weight_decay=1e-3),
    ],
)
def test_what_lives_goes_on_as_if_nothing_had_died(make):
    """The same gradients, sliced, lead bit by bit to the same parameters, sliced, over two rounds of kills."""
    network, whole = build(), build()
    optimizer, other = make(network.parameters()), make(whole.parameters())
    rows = {id(p): torch.arange(len(p)) for p in network.parameters()}
    twin = {id(p): q for p, q in zip(network.parameters(), whole.parameters(), strict=True)}
    generator = torch.Generator().manual_seed(0)
    for seed in range(3):
        for q in whole.parameters():
            q.grad = torch.randn(q.shape, generator=generator)
        for p in network.parameters():
            p.grad = twin[id(p)].grad[rows[id(p)]]
        optimizer.step()
        other.step()
        for p in network.parameters():
            assert torch.equal(p, twin[id(p)][rows[id(p)]])
        changes = kill_some(network, seed, 0.3)
        shrink_optimizer(optimizer, changes)
        for before, after, left in changes:
            if after is not None:
                rows[id(after)], twin[id(after)] = rows[id(before)][list(left)], twin[id(before)]
        assert {id(p) for p in network.parameters()} == {id(p) for p in optimizer.param_groups[0]["params"]}
    assert len(optimizer.state) == len(list(network.parameters()))


def test_an_optimizer_can_shrink_after_several_kills_at_once():
    network = build()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    F.cross_entropy(network(X, weights(network)), Y).backward()
    optimizer.step()
    shrink_optimizer(optimizer, kill_some(network, 0, 0.3) + kill_some(network, 1, 0.3))
    assert [id(p) for p in optimizer.param_groups[0]["params"] if p.dim() == 4 and p.shape[1] == 3]
    assert {id(p) for p in network.parameters()} == {id(p) for p in optimizer.param_groups[0]["params"]}
    assert all(state["momentum_buffer"].shape == p.shape for p, state in optimizer.state.items())


def test_checkpointed_cells_compute_the_same_and_track_once():
    plain, saving = build(), build(checkpointed=(0, 2))
    results = []
    for network in (plain, saving):
        w = weights(network)
        F.cross_entropy(network(X, w), Y).backward()
        results.append([*(x.grad for x in w), *(p.grad for p in network.parameters()), *network.buffers()])
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)


def test_half_precision_is_close_and_its_gradients_are_single():
    network = build()
    expected = network(X, weights(network))
    w = weights(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(X, w)
    F.cross_entropy(logits.float(), Y).backward()
    assert_close(logits.float(), expected, atol=0.1, rtol=0.1)
    assert all(x.grad.isfinite().all() and x.grad.dtype == torch.float32 for x in (*w, *network.parameters()))


def test_features_are_the_outputs_before_each_reduction_and_at_the_end():
    torch.manual_seed(0)
    network = FlexibleSupernet(("skip_connect",), 4, SHAPE, width=4, cells=6)
    logits, features = network.forward_with_features(X, weights(network))
    assert network.ends == (1, 3, 5)
    assert [tuple(f.shape) for f in features] == [(6, 16, 8, 8), (6, 32, 4, 4), (6, 64, 2, 2)]
    assert_close(network.head(features[-1]), logits)


def test_pairs_are_numbered_by_node_input_and_operation():
    network = build()
    assert len(network.triples) == 14 * len(NAMES)
    assert network.triples == tuple(sorted(network.triples, key=lambda t: (t.node, t.source, NAMES.index(t.operation))))
    assert network.kept()[0][0] == tuple((name, source) for source in (0, 1) for name in NAMES)


def test_what_is_no_supernet_is_refused():
    with pytest.raises(UnknownNameError, match="skip_connect"):
        build(("none",))
    with pytest.raises(ProblemError, match="at least three cells"):
        FlexibleSupernet(NAMES, 4, SHAPE, cells=2)
    with pytest.raises(ProblemError, match="each once"):
        build(("skip_connect", "skip_connect"))


def test_only_living_pairs_can_be_sliced():
    network = build()
    kept = network.kept()
    network.kill(1, [0])
    with pytest.raises(ProblemError, match="cell 1 has no living max_pool_3x3 from 0 to 2"):
        slice_weights(network, kept)
    with pytest.raises(ProblemError, match="2 cells"):
        slice_weights(network, kept[:2])
