"""What the ascent promises: repeatable, distinct, exact in its limits, and never above its own bound."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crlso.exceptions import ArchitectureError, ProblemError
from crlso.latent.bundle import load_bundle
from crlso.networks import costs
from crlso.search.ascent import ascend, optimize, visited
from crlso.search.problem import Constraint, Objective, Problem, parse_limit
from crlso.spaces.nasbench201 import NasBench201
from crlso.tables import Metric

SPACE = NasBench201()
QUICK = {"num_starts": 32, "num_steps": 20}


def texts(answer):
    return [proposal.architecture for proposal in answer.proposals]


def without_time(answer):
    return answer.model_copy(update={"elapsed_ms": 0.0})


@pytest.fixture(scope="module")
def answer(model):
    return optimize(model, Problem(**QUICK))


def test_the_same_question_has_the_same_answer_after_a_restart_too(model, bundle, answer):
    torch.rand(3)
    assert without_time(optimize(model, Problem(**QUICK))) == without_time(answer)
    assert without_time(optimize(load_bundle(bundle), Problem(**QUICK))) == without_time(answer)
    other = optimize(model, Problem(**QUICK, seed=1))
    assert [p.latent for p in other.proposals] != [p.latent for p in answer.proposals]
    assert (other.seed, other.digest) == (1, model.digest)


def test_proposals_are_distinct_valid_and_sorted(model, answer):
    archs = [SPACE.parse(text) for text in texts(answer)]
    assert len({arch.key for arch in archs}) == len(archs) == 8
    assert all(SPACE.canonical(arch).text == arch.text for arch in archs)
    predicted = [proposal.predicted.mean for proposal in answer.proposals]
    assert predicted == sorted(predicted, reverse=True)
    assert answer.visited > 8


@pytest.mark.parametrize("wanted", [1, 5, 256])
def test_no_more_are_answered_than_were_asked_for(model, answer, wanted):
    got = optimize(model, Problem(**QUICK, num_architectures=wanted))
    assert len(got.proposals) == min(wanted, got.visited)
    assert texts(got)[:8] == texts(answer)[:wanted]


def test_a_proposal_says_what_is_true_of_it(model, answer):
    for proposal in answer.proposals:
        arch, z = SPACE.parse(proposal.architecture), torch.tensor([proposal.latent])
        assert (proposal.params, proposal.flops) == (costs(arch).params, costs(arch).flops)
        assert proposal.measured == model.measured(arch)
        assert model.decode(z) == [arch]
        mean, std = model.predict(model.encode([arch]))
        assert proposal.predicted.mean == pytest.approx(mean.item(), rel=1e-5)
        assert proposal.predicted.std == pytest.approx(std.item(), rel=1e-3, abs=1e-4)
        assert proposal.at_latent.value == pytest.approx(model.predict(z)[0].item(), rel=1e-5)
        edges = {(edge.source, edge.target): edge.type for edge in proposal.graph.edges}
        codes = arch.graph.edge_types
        assert edges == {(i, j): SPACE.schema.edge_types[codes[i, j]] for i, j in zip(*codes.nonzero(), strict=True)}
        assert proposal.graph.nodes == ("input", "sum", "sum", "output")
        assert proposal.svg == SPACE.draw(arch)


def test_measured_values_come_from_the_table(model):
    every = optimize(model, Problem(**QUICK, num_architectures=256))
    assert {proposal.measured is None for proposal in every.proposals} == {True, False}


def test_each_candidate_has_its_highest_point(model):
    path = ascend(model, Problem(**QUICK))
    decoded = model.decode(path.z)
    highest = {}
    for point, arch in enumerate(decoded):
        if path.score[point] > path.score[highest.setdefault(arch, point)]:
            highest[arch] = point
    assert {candidate.arch: candidate.point for candidate in visited(model, path)} == highest


def test_blocks_in_which_points_are_decoded_change_nothing(model, monkeypatch):
    path = ascend(model, Problem(**QUICK))
    whole = visited(model, path)
    monkeypatch.setattr("crlso.search.ascent._POINTS_AT_ONCE", 100)
    parts = visited(model, path)
    assert [(c.arch, c.point) for c in parts] == [(c.arch, c.point) for c in whole]


def test_drawings_are_remembered_by_space_and_notation(model, answer):
    again = optimize(model, Problem(**QUICK))
    for one, other in zip(answer.proposals, again.proposals, strict=True):
        assert other.svg is one.svg
        assert other.graph is one.graph


def test_every_point_of_the_path_lies_in_the_ball_and_every_start_climbs(model):
    path = ascend(model, Problem(**QUICK))
    assert len(path.z) == len(path.score) == 32 * 21
    assert (path.z.norm(dim=1) <= model.ball.radius * (1 + 1e-5)).all()
    torch.testing.assert_close(path.score, model.vae.score(path.z), rtol=1e-4, atol=1e-5)
    by_step = path.score.reshape(21, 32)
    assert (by_step[-1] >= by_step[0] - 1e-6).all()
    assert by_step[-1].min() > by_step[0].max() - 0.05, "all starts end near the one maximum"


def test_the_bound_is_never_below_any_score(model):
    path = ascend(model, Problem(**QUICK))
    assert path.bound >= path.score.max() - 1e-5
    anywhere = model.ball.sample(10_000, torch.Generator().manual_seed(5))
    assert path.bound >= model.vae.score(anywhere).max() - 1e-5
    assert path.bound <= path.score.max() + 0.1, "it nearly closes"


def test_certificates_bound_the_surrogate(model, answer):
    anywhere = model.ball.sample(10_000, torch.Generator().manual_seed(6))
    reached = model.predict(anywhere)[0].max().item()
    for bound in (answer.certificate, *(proposal.at_latent for proposal in answer.proposals)):
        assert bound.bound >= reached - 1e-3
        assert bound.gap >= 0
        assert bound.bound == pytest.approx(bound.value + bound.gap, abs=1e-4)
        assert bound.value <= answer.certificate.value + 1e-4


def test_excluding_a_twin_excludes_the_class(model):
    """Small cells, unlike the best ones, have twins."""
    problem = Problem(**QUICK, num_architectures=256, constraints=(parse_limit("params<=4e5"),))
    every = optimize(model, problem)
    text, twin = next(
        (text, other.text)
        for text in texts(every)
        for other in SPACE.neighbours(SPACE.parse(text))
        if other == SPACE.parse(text)
    )
    for excluded in (text, twin):
        got = optimize(model, problem.model_copy(update={"exclude": (excluded,)}))
        assert texts(got) == [other for other in texts(every) if other != text]
        assert got.visited == every.visited


def test_excluding_everything_visited_says_so(model):
    every = optimize(model, Problem(**QUICK, num_architectures=256))
    with pytest.raises(ProblemError, match="every architecture that the ascent visited is excluded: exclude fewer"):
        optimize(model, Problem(**QUICK, exclude=tuple(texts(every))))


@pytest.mark.parametrize(
    "limits",
    [
        ("params<=4e5",),
        ("flops<=5e7",),
        ("flops>=1e8",),
        ("params>=2e5", "params<=4e5"),
        ("accuracy<=70",),
        ("params<=1e6", "accuracy>=66"),
        ("params<=0", "params>=-1"),
    ],
)
def test_limits_are_kept_exactly_or_refused(model, limits):
    constraints = tuple(map(parse_limit, limits))
    problem = Problem(**QUICK, constraints=constraints)
    if limits[0] == "params<=0":
        with pytest.raises(ProblemError, match="no architecture of nasbench201 keeps all limits"):
            optimize(model, problem)
        return
    proposals = optimize(model, problem).proposals
    assert proposals
    for proposal in proposals:
        values = {"params": proposal.params, "flops": proposal.flops, "accuracy": proposal.predicted.mean}
        assert all(limit.admits(float(values[limit.metric])) for limit in constraints)


def test_a_limit_at_an_exact_cost_admits_it_and_one_below_does_not(model):
    params = int(np.sort(model.known_costs["params"])[100])
    for most in (params, params - 1):
        limit = Constraint(metric="params", max=most)
        found = optimize(model, Problem(**QUICK, num_architectures=256, constraints=(limit,))).proposals
        assert (max(proposal.params for proposal in found) == params) == (most == params)


@pytest.mark.parametrize("limit", ["params<=2e5", "flops<=3e7"])
def test_limits_bend_the_paths_towards_what_keeps_them(model, limit):
    limit = parse_limit(limit)

    def share(problem):
        ends = model.decode(ascend(model, problem).z[-32:])
        return np.mean([limit.admits(float(getattr(costs(arch), limit.metric))) for arch in ends])

    assert share(Problem(**QUICK, constraints=(limit,))) > share(Problem(**QUICK)) + 0.5


def test_the_bound_holds_on_bent_paths_too(model):
    path = ascend(model, Problem(**QUICK, constraints=(parse_limit("params<=2e5"),)))
    anywhere = model.ball.sample(10_000, torch.Generator().manual_seed(5))
    assert path.bound >= model.vae.score(anywhere).max() - 1e-5


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (("params<=1",), r"there are params from \d+ to [\d.e+]+"),
        (("flops>=1e12",), r"there are flops from [\d.e+]+ to [\d.e+]+"),
        (("accuracy>=101",), r"there are accuracy from [\d.]+ to [\d.]+"),
        (("accuracy>=101", "params<=1"), r"there are accuracy from .* and params from"),
    ],
)
def test_impossible_limits_are_answered_with_the_possible_range(model, limits, message):
    with pytest.raises(ProblemError, match=message):
        optimize(model, Problem(**QUICK, constraints=tuple(map(parse_limit, limits))))


def test_the_range_is_that_of_the_known_architectures(model):
    low, high = model.known_costs["params"].min(), model.known_costs["params"].max()
    with pytest.raises(ProblemError, match=rf"params from {low:.6g} to {high:.6g}".replace("+", r"\+")):
        optimize(model, Problem(**QUICK, constraints=(parse_limit("params<=1"),)))


def test_possible_limits_whose_answers_are_all_excluded_say_so(model):
    limit = (parse_limit("params<=2e5"),)
    every = optimize(model, Problem(**QUICK, constraints=limit, num_architectures=256))
    with pytest.raises(ProblemError, match=r"some architectures keep the limits, but .*take more starts"):
        optimize(model, Problem(**QUICK, constraints=limit, exclude=tuple(texts(every))))


def test_given_architectures_are_the_first_starts(model):
    given = tuple(arch.text for arch in SPACE.sample(3, np.random.default_rng(4)))
    problem = Problem(**QUICK, start_from=given)
    path = ascend(model, problem)
    assert tuple(arch.text for arch in path.starts) == given
    wanted = model.encode([SPACE.parse(text) for text in given])
    torch.testing.assert_close(path.z[:3], wanted)
    for proposal in optimize(model, problem).proposals:
        expected = given[proposal.start.index] if proposal.start.index < 3 else None
        assert proposal.start.architecture == expected


def test_a_single_given_start_is_where_everything_comes_from(model):
    worst = model.known[int(model.known_predictions.argmin())]
    answer = optimize(model, Problem(num_starts=1, num_steps=20, start_from=(worst.text,)))
    assert {(p.start.index, p.start.architecture) for p in answer.proposals} == {(0, worst.text)}
    assert answer.certificate.value > model.known_predictions.min()


def test_what_is_no_architecture_is_refused(model):
    for field in ("start_from", "exclude"):
        with pytest.raises(ArchitectureError, match="resnet50"):
            optimize(model, Problem(**QUICK, **{field: ("resnet50",)}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": Objective(metric="speed")}, "model 'small' has learned 'accuracy', not 'speed'"),
        ({"objective": Objective(metric="accuracy", direction="min")}, "concave only towards 'max'"),
        (
            {"constraints": (parse_limit("speed<=3"),)},
            "no limit can be set on 'speed'; limits are on params, flops, acc",
        ),
    ],
)
def test_what_the_model_has_not_learned_is_refused(model, fields, message):
    with pytest.raises(ProblemError, match=message):
        optimize(model, Problem(**QUICK, **fields))


def test_the_models_own_objective_may_be_named(model, answer):
    for direction in (None, "max"):
        problem = Problem(**QUICK, objective=Objective(metric="accuracy", direction=direction))
        assert without_time(optimize(model, problem)) == without_time(answer)


def test_where_less_is_better_everything_is_negated(model, answer):
    less = replace(model, metric=Metric("error", "min"), table=None)
    got = optimize(less, Problem(**QUICK))
    assert texts(got) == texts(answer)
    for one, other in zip(got.proposals, answer.proposals, strict=True):
        assert one.predicted.mean == -other.predicted.mean
        assert one.predicted.std == other.predicted.std
        assert one.at_latent.value == -other.at_latent.value
        assert one.at_latent.gap == other.at_latent.gap
        assert one.at_latent.bound <= one.at_latent.value
    limited = optimize(less, Problem(**QUICK, constraints=(parse_limit("error>=-70"),)))
    assert all(proposal.predicted.mean >= -70 for proposal in limited.proposals)


def test_the_proposals_are_better_than_chance(model, answer, accuracy):
    """Even the small model's proposals beat nearly all of the space."""
    everything = sorted(accuracy(arch) for arch in set(SPACE.enumerate()))
    best = max(accuracy(SPACE.parse(text)) for text in texts(answer))
    assert best > everything[int(0.95 * len(everything))]


def test_who_looks_on_sees_every_step_and_changes_nothing(model, answer):
    seen = {}
    watched = optimize(model, Problem(**QUICK), lambda step, z: seen.update({step: z.clone()}))
    assert without_time(watched) == without_time(answer)
    assert list(seen) == list(range(QUICK["num_steps"] + 1))
    path = ascend(model, Problem(**QUICK))
    assert torch.equal(torch.cat(list(seen.values())), path.z)
