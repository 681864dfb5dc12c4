"""A study asks what a search with the same plan asks, and keeps asking right whoever tells and dies meanwhile."""

import asyncio
import threading

import pytest

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.search.registry import make_strategy
from crlso.search.runner import Search
from crlso.spaces import get_space
from crlso.tables import Metric
from service.store.database import Database
from service.store.rows import Origin
from service.store.studies import StudyStore
from service.studies.desk import Desk, strategy_of
from service.studies.schemas import Aim, StudyPlan
from service.workers import LateError, Workers

ME = Origin("me")


@pytest.fixture
def store(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'crlso.db'}")
    database.migrate()
    yield StudyStore(database)
    database.close()


@pytest.fixture
def workers():
    workers = Workers(2, 8)
    yield workers
    workers.close()


def plan_of(**settings):
    return StudyPlan.model_validate({"strategy": "evolution", "init": 4, "batch": 3, **settings})


async def follow(desk, study, value, budget):
    """One client that asks for one at a time and tells it at once."""
    asked = []
    while len(asked) < budget:
        (trial,), _ = await desk.ask(study, "me", 1, 60)
        asked.append(trial.architecture)
        desk.tell(study, trial.number, "done", [value(trial.architecture)])
    return asked


@pytest.mark.parametrize("strategy", ["evolution", "local", "random"])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_single_client_gets_the_sequence_of_the_runner(store, workers, accuracy, strategy, direction):
    space, sign = get_space("nasbench201"), {"max": 1.0, "min": -1.0}[direction]
    search = Search(make_strategy(strategy, space, seed=3), [Metric("accuracy", direction)], budget=25, init=4, batch=3)
    expected = []
    while asked := search.ask():
        for arch in asked:
            expected.append(arch.text)
            search.tell(arch, sign * accuracy(arch))
    plan = plan_of(strategy=strategy, seed=3, metrics=(Aim(name="accuracy", direction=direction),))
    desk = Desk(store, workers)
    study, _ = desk.create(ME, "s", plan)
    found = asyncio.run(follow(desk, study.id, lambda text: sign * accuracy(space.parse(text)), 25))
    assert found == expected
    history, trials = desk.history(study.id)
    best = search.history.best
    assert [trials[row].architecture for row in history.best] == [expected[row] for row in best]
    document, theirs = history.document(), search.history.document()
    assert [query["value"] for query in document["history"]] == [query["value"] for query in theirs["history"]]


def test_a_desk_that_was_restarted_goes_on_as_if_nothing_had_happened(store, workers, accuracy):
    space = get_space("nasbench201")
    runs = []
    for restarted in (False, True):
        desk = Desk(store, workers)
        study, _ = desk.create(ME, "s", plan_of())
        asked = []
        for _ in range(5):
            asked += asyncio.run(follow(desk, study.id, lambda text: accuracy(space.parse(text)), 4))
            if restarted:
                desk = Desk(store, workers)
        runs.append(asked)
    assert runs[0] == runs[1]


def test_clients_that_come_together_share_one_sequence(store, workers):
    desk = Desk(store, workers)
    study, _ = desk.create(ME, "s", plan_of(budget=40))

    async def client(name):
        mine = []
        while True:
            trials, end = await desk.ask(study.id, name, 1, 60)
            if not trials:
                return mine, end
            mine.append(trials[0].number)
            await asyncio.to_thread(desk.tell, study.id, trials[0].number, "failed", None)

    async def all_of_them():
        return await asyncio.gather(*(client(f"client {number}") for number in range(10)))

    found = asyncio.run(all_of_them())
    assert sorted(number for mine, _ in found for number in mine) == list(range(1, 41))
    assert {end for _, end in found} == {"the budget of 40 trials is spent"}


def test_a_question_that_takes_long_is_answered_to_who_asks_again(store, workers):
    free = threading.Event()

    def make(plan):
        free.wait()
        return strategy_of(plan)

    desk = Desk(store, workers, make)

    async def ask():
        with pytest.raises(LateError):
            await desk.ask(study.id, "me", 1, 0.05)
        free.set()
        return await desk.ask(study.id, "me", 1, 60)

    study, _ = store.create(ME, "s", plan_of().model_dump(mode="json"))
    trials, _ = asyncio.run(ask())
    assert [trial.number for trial in trials] == [1]


def test_a_space_comes_to_its_end(store, workers):
    desk = Desk(store, workers, make=lambda plan: make_strategy("random", space, candidates=few))
    space = get_space("nasbench201")
    few = [
        space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"),
        next(iter(space.enumerate())),
    ]
    study, _ = desk.create(ME, "s", plan_of())
    trials, end = asyncio.run(desk.ask(study.id, "me", 5, 60))
    assert len(trials) == len({arch.key for arch in few})
    assert "every architecture" in end


def test_limits_hold(store, workers):
    desk = Desk(store, workers)
    study, _ = desk.create(ME, "s", plan_of(limits=[{"metric": "params", "max": 200_000}], strategy="random"))
    trials, _ = asyncio.run(desk.ask(study.id, "me", 20, 60))
    from crlso.networks import costs

    assert all(costs(get_space("nasbench201").parse(trial.architecture)).params <= 200_000 for trial in trials)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"space": "nowhere"}, UnknownNameError),
        ({"space": "/etc/passwd"}, UnknownNameError),
        ({"strategy": "nobody"}, UnknownNameError),
        ({"strategy": "local", "metrics": [{"name": "a"}, {"name": "b"}], "reference": [0, 0]}, ProblemError),
        ({"limits": [{"metric": "latency", "max": 1}]}, ProblemError),
        ({"limits": [{"metric": "params", "max": 1}]}, ProblemError),
        ({"space": "darts", "limits": [{"metric": "params", "max": 1e6}]}, ProblemError),
    ],
)
def test_plans_that_cannot_be_followed(store, workers, settings, error):
    with pytest.raises(error):
        Desk(store, workers).create(ME, "s", plan_of(**settings))
    assert store.page(1).items == []


def test_values_must_fit_the_metrics(store, workers):
    desk = Desk(store, workers)
    study, _ = desk.create(ME, "s", plan_of())
    with pytest.raises(ProblemError, match="accuracy"):
        desk.tell(study.id, 1, "done", [1.0, 2.0])
