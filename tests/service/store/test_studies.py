"""No trial is lost or doubled, whoever asks and whatever is told twice; on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from service.store.rows import ConflictError, NotFoundError, Origin, ReusedKeyError, TokenError
from service.store.studies import StudyStore

PLAN = {"space": "nasbench201"}


@pytest.fixture
def store(database):
    return StudyStore(database)


@pytest.fixture
def study(store):
    return store.create(Origin("me"), "a study", PLAN)[0].id


def draw(n):
    found = {arch.key: arch for arch in get_space("nasbench201").sample(4 * n, np.random.default_rng(0))}
    return list(found.values())[:n]


def twins():
    first = get_space("nasbench201").parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    other = get_space("nasbench201").parse("|avg_pool_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert first.key == other.key
    return first, other


def test_a_client_gets_its_own_again_and_others_get_others(store, study):
    assert store.propose(study, draw(4), after=0)
    mine = store.assign(study, "a", 2, None)
    assert [trial.number for trial in mine] == [1, 2]
    assert store.assign(study, "a", 2, None) == mine
    assert [trial.number for trial in store.assign(study, "b", 1, None)] == [3]
    assert [trial.number for trial in store.assign(study, "a", 9, None)] == [1, 2, 4]
    assert store.assign(study, "c", 1, None) == []


def test_the_budget_holds_trials_back(store, study):
    store.propose(study, draw(4), after=0)
    assert [trial.number for trial in store.assign(study, "a", 4, 3)] == [1, 2, 3]


def test_who_proposes_late_is_refused(store, study):
    assert store.propose(study, draw(2), after=0)
    assert not store.propose(study, draw(4)[2:], after=0)
    assert store.get(study).counts["waiting"] == 2


def test_telling_is_final_and_idempotent(store, study):
    store.propose(study, draw(2), after=0)
    told = store.tell(study, 1, "done", [93.0])
    assert (told.state, told.values) == ("done", (93.0,))
    assert store.tell(study, 1, "done", [93.0]) == told
    for outcome, values in (("done", [93.1]), ("failed", None)):
        with pytest.raises(ConflictError, match="trial 1"):
            store.tell(study, 1, outcome, values)
    assert store.record(study).told == [told]


def test_what_was_not_asked_for_can_be_told(store, study):
    first, other = twins()
    store.propose(study, draw(1), after=0)
    told = store.tell(study, first, "done", [50.0])
    assert (told.number, told.architecture) == (2, first.text)
    assert store.tell(study, first, "done", [50.0]) == told
    with pytest.raises(ConflictError):
        store.tell(study, other, "done", [50.0])  # one class, one trial


def test_a_twin_may_be_trained_in_place_of_what_was_asked(store, study):
    first, other = twins()
    store.propose(study, [first], after=0)
    assert store.tell(study, other, "done", [50.0]).architecture == other.text
    assert store.record(study).open == []


def test_the_order_of_telling_is_kept(store, study):
    store.propose(study, draw(3), after=0)
    for number in (2, 3, 1):
        store.tell(study, number, "failed", None)
    record = store.record(study)
    assert [trial.number for trial in record.told] == [2, 3, 1]
    assert record.trials == 3


def test_many_clients_lose_nothing_and_share_nothing(store, study):
    archs = draw(60)
    store.propose(study, archs, after=0)

    def work(client):
        mine = []
        while asked := store.assign(study, f"client-{client}", 1, None):
            mine.append(store.tell(study, asked[0].number, "done", [float(client)]).number)
        return mine

    with ThreadPoolExecutor(12) as threads:
        done = [number for mine in threads.map(work, range(12)) for number in mine]
    assert sorted(done) == list(range(1, 61))
    told = store.record(study).told
    assert sorted(trial.architecture for trial in told) == sorted(arch.text for arch in archs)


def test_concurrent_proposals_are_taken_once(store, study):
    archs = draw(8)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda arch: store.propose(study, [arch], after=0), archs))
    assert sum(taken) == 1
    assert store.get(study).counts["waiting"] == 1


def test_one_key_makes_one_study(store):
    origin = Origin("me", "key")
    first, new = store.create(origin, "a", PLAN)
    assert new
    assert store.create(origin, "a", PLAN) == (first, False)
    assert store.create(Origin("you", "key"), "a", PLAN)[1]
    with pytest.raises(ReusedKeyError):
        store.create(origin, "another", PLAN)


def test_pages_hold_everything_once(store):
    made = [store.create(Origin("me"), f"study {number}", PLAN)[0].id for number in range(5)]
    listed, token = [], None
    while True:
        page = store.page(2, token)
        listed += [study.id for study in page.items]
        if (token := page.next_token) is None:
            break
    assert sorted(listed) == sorted(made)


def test_pages_of_trials(store, study):
    store.propose(study, draw(5), after=0)
    store.tell(study, 2, "failed", None)
    page = store.trials(study, None, 3)
    assert [trial.number for trial in page.items] == [1, 2, 3]
    assert [trial.number for trial in store.trials(study, None, 3, page.next_token).items] == [4, 5]
    assert [trial.number for trial in store.trials(study, "failed", 3).items] == [2]
    for token in ("x", "WyJhIl0", "W05hTl0"):
        with pytest.raises(TokenError):
            store.trials(study, None, 3, token)


def test_what_is_deleted_is_gone(store, study):
    store.propose(study, draw(1), after=0)
    store.delete(study)
    for call in (store.get, store.delete, store.record):
        with pytest.raises(NotFoundError):
            call(study)
    with pytest.raises(NotFoundError):
        store.tell(study, 1, "failed", None)


def test_there_are_only_the_trials_that_were_asked_for(store, study):
    with pytest.raises(ProblemError, match="no trial 1"):
        store.tell(study, 1, "failed", None)
