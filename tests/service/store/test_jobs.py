"""A job ends exactly once, whoever dies on the way; on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.store.jobs import TERMINAL, JobStore
from service.store.rows import ConflictError, NotFoundError, Origin, ReusedKeyError

ME = Origin("me")


@pytest.fixture
def store(database):
    return JobStore(database)


@pytest.fixture
def job(store):
    return store.submit(ME, "train", {"name": "a"})[0].id


def states(store, job):
    return [event.data["state"] for event in store.events(job, kind="state")]


def test_a_job_from_queue_to_end(store, job):
    claimed = store.claim()
    assert (claimed.id, claimed.state, claimed.attempt) == (job, "running", 1)
    assert store.claim() is None
    assert store.beat(job, 1) == "ours"
    assert store.say(job, 1, [("log", {"line": "hello"}), ("progress", {"done": 1})])
    assert store.finish(job, 1, "succeeded", result={"x": 1})
    assert store.result(job) == {"x": 1}
    assert store.get(job).progress == {"done": 1}
    assert [event.number for event in store.events(job)] == [1, 2, 3, 4, 5]
    assert states(store, job) == ["queued", "running", "succeeded"]


def test_a_job_ends_once(store, job):
    store.claim()
    assert store.finish(job, 1, "succeeded", result={"x": 1})
    assert not store.finish(job, 1, "failed", error="late")
    assert not store.say(job, 1, [("log", {"line": "late"})])
    assert store.beat(job, 1) == "lost"
    assert store.cancel(job).state == "succeeded"
    assert store.result(job) == {"x": 1}


def test_a_worker_that_was_given_up_is_not_heard(store, job):
    store.claim()
    store.reclaim(job, 1, beat=0, most_losses=3)
    assert store.claim().attempt == 2
    assert store.beat(job, 1) == "lost"
    assert not store.finish(job, 1, "succeeded", result={"of": 1})
    assert store.finish(job, 2, "succeeded", result={"of": 2})
    assert store.result(job) == {"of": 2}


def test_a_worker_that_lives_is_not_given_up(store, job):
    store.claim()
    store.beat(job, 1)
    store.reclaim(job, 1, beat=0, most_losses=1)
    assert store.get(job).state == "running"


def test_a_job_that_loses_too_many_workers_has_failed(store, job):
    for attempt in range(1, 4):
        assert store.claim().attempt == attempt
        store.reclaim(job, attempt, beat=None, most_losses=3)
    assert store.get(job).state == "failed"
    assert "3 times" in store.get(job).error
    with pytest.raises(ConflictError, match="3 times"):
        store.result(job)


def test_to_be_released_is_no_loss(store, job):
    for attempt in range(1, 6):
        store.claim()
        store.release(job, attempt)
    assert (store.get(job).state, store.get(job).losses) == ("queued", 0)


def test_cancelling(store, job):
    assert store.cancel(job).state == "cancelled"
    assert store.claim() is None
    other = store.submit(ME, "train", {"name": "b"})[0].id
    store.claim()
    assert store.cancel(other).state == "running"
    assert store.cancel(other).state == "running"
    assert store.beat(other, 1) == "cancelled"
    assert store.finish(other, 1, "cancelled")
    third = store.submit(ME, "train", {"name": "c"})[0].id
    store.claim()
    store.cancel(third)
    store.reclaim(third, 1, beat=None, most_losses=3)  # the worker died before it obeyed
    assert store.get(third).state == "cancelled"


def test_an_answer_from_elsewhere_ends_only_what_nobody_has_begun(store, job):
    store.claim()
    store.answer(job, {"x": 1})
    assert store.get(job).state == "running"
    other = store.submit(ME, "train", {"name": "b"})[0].id
    store.answer(other, {"x": 1})
    assert (store.result(other), store.claim()) == ({"x": 1}, None)


def test_first_come_first_served(store):
    made = [store.submit(ME, "train", {"name": str(number)})[0].id for number in range(4)]
    assert [store.claim().id for _ in made] == made


def test_one_worker_a_job(store):
    made = {store.submit(ME, "train", {"name": str(number)})[0].id for number in range(20)}
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda _: store.claim(), range(40)))
    found = [job.id for job in claimed if job is not None]
    assert sorted(found) == sorted(made)


def test_one_key_one_job(store):
    origin = Origin("me", "key")
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda _: store.submit(origin, "train", {"name": "a"}), range(12)))
    assert len({job.id for job, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    with pytest.raises(ReusedKeyError):
        store.submit(origin, "train", {"name": "b"})


def test_no_two_living_jobs_make_the_same(store):
    first = store.submit(ME, "train", {"name": "a"}, target="models/a")[0].id
    with pytest.raises(ConflictError, match=first):
        store.submit(ME, "train", {"name": "a"}, target="models/a")
    store.cancel(first)
    store.submit(ME, "train", {"name": "a"}, target="models/a")


def test_an_owner_has_only_so_many(store):
    store.submit(ME, "train", {}, most=1)
    with pytest.raises(ConflictError, match="1 jobs"):
        store.submit(ME, "train", {}, most=1)
    store.submit(Origin("you"), "train", {}, most=1)


def test_lists(store):
    made = [store.submit(ME, kind, {"n": n})[0].id for n, kind in enumerate(("train", "search", "train"))]
    page = store.page(2)
    rest = store.page(2, page.next_token)
    assert sorted(job.id for job in page.items + rest.items) == sorted(made)
    assert {job.kind for job in store.page(9, kind="train").items} == {"train"}
    store.cancel(made[0])
    assert [job.id for job in store.page(9, state="cancelled").items] == [made[0]]
    assert store.counts() == {"queued": 2, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 1}


def test_events_resume_anywhere(store, job):
    store.claim()
    store.say(job, 1, [("log", {"line": str(number)}) for number in range(10)])
    whole = store.events(job)
    assert [event.number for event in whole] == list(range(1, 13))
    for cut in range(13):
        assert store.events(job, after=cut) == whole[cut:]
    assert [event.data["line"] for event in store.events(job, kind="log", last=2)] == ["8", "9"]


def test_unknown_jobs(store):
    for call in (store.get, store.result, store.cancel, store.events):
        with pytest.raises(NotFoundError):
            call("0" * 16)


def make_move(store, job, move):
    attempt = store.get(job).attempt
    return {
        "claim": store.claim,
        "beat": lambda: store.beat(job, attempt),
        "say": lambda: store.say(job, attempt, [("log", {"line": "x"})]),
        "finish": lambda: store.finish(job, attempt, "succeeded", result={}),
        "fail": lambda: store.finish(job, attempt, "failed", error="x"),
        "release": lambda: store.release(job, attempt),
        "reclaim": lambda: store.reclaim(job, attempt, None, 3),
        "cancel": lambda: store.cancel(job),
        "answer": lambda: store.answer(job, {}),
    }[move]()


MOVES = st.lists(
    st.sampled_from(["claim", "beat", "say", "finish", "fail", "release", "reclaim", "cancel", "answer"]), max_size=20
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES)
def test_whatever_happens_a_job_has_one_end_and_numbered_events(store, moves):
    job = store.submit(ME, "train", {})[0].id
    ended = None
    for move in moves:
        make_move(store, job, move)
        state = store.get(job).state
        assert ended is None or state == ended
        ended = state if state in TERMINAL else None
    found = store.events(job)
    assert [event.number for event in found] == list(range(1, len(found) + 1))
    assert sum(event.data.get("state") in TERMINAL for event in found) == (ended is not None)
    if ended is None:
        store.cancel(job)
        attempt = store.get(job).attempt
        store.finish(job, attempt, "cancelled")
