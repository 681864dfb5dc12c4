import gc
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import torch

from crlso.exceptions import ProblemError
from crlso.latent.atlas import Atlas

STREAM = "/v1/optimize/stream"
QUICK = {"num_starts": 8, "num_steps": 20, "num_architectures": 3}


def events(response):
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.removesuffix("\n\n").split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def without_time(answer):
    return {name: value for name, value in answer.items() if name != "elapsed_ms"}


def test_the_stream_ends_with_the_ordinary_answer(real):
    found = events(real.post(STREAM, json=QUICK))
    kinds = [kind for kind, _ in found]
    assert kinds == ["path"] * 21 + ["places", "answer"]
    assert without_time(found[-1][1]) == without_time(real.post("/v1/optimize", json=QUICK).json())


def test_paths_are_places_of_all_starts_from_the_first_step_to_the_last(real):
    paths = [data for kind, data in events(real.post(STREAM, json=QUICK)) if kind == "path"]
    assert [path["step"] for path in paths] == list(range(21))
    assert {path["of"] for path in paths} == {20}
    points = np.array([path["points"] for path in paths])
    assert points.shape == (21, 8, 2)
    radius = np.linalg.norm(points, axis=2).mean(axis=1)
    assert radius[-1] < radius[0], "an ascent runs inwards"


def test_long_ascents_of_many_starts_are_told_in_few_events(real):
    body = {"num_starts": 300, "num_steps": 500, "num_architectures": 1}
    paths = [data for kind, data in events(real.post(STREAM, json=body)) if kind == "path"]
    assert len(paths) <= 33
    assert (paths[0]["step"], paths[-1]["step"], len(paths[0]["points"])) == (0, 500, 48)


def test_proposals_have_places_and_entries_of_the_map(real, model):
    atlas = Atlas.of(model)
    places, answer = (data for kind, data in events(real.post(STREAM, json=QUICK))[-2:])
    for proposal, entry, point in zip(answer["proposals"], places["entries"], places["points"], strict=True):
        assert atlas.index.get(proposal["architecture"]) == entry
        assert np.hypot(*point) <= 1


def test_what_is_wrong_at_once_is_a_problem_and_no_stream(client, check_problem):
    check_problem(client.post(STREAM, json={"space": "nowhere"}), 404, "unknown-name")
    check_problem(client.post(STREAM, json={"num_starts": 0}), 422, "invalid-request")
    check_problem(
        client.post(STREAM, content=b"{}", headers={"Content-Type": "text/plain"}), 415, "unsupported-media-type"
    )
    check_problem(client.post(STREAM, json={"start_from": ["|nonsense~0|"]}), 422, "invalid-architecture")


def test_what_is_only_found_out_on_the_way_ends_the_stream(real):
    body = QUICK | {"constraints": [{"metric": "params", "max": 1}]}
    found = events(real.post(STREAM, json=body))
    assert (found[0][0], found[-1][0]) == ("path", "problem")
    assert (found[-1][1]["status"], found[-1][1]["type"]) == (422, "/problems/unsolvable-problem")


def test_a_refusal_that_nobody_hears_any_more_is_no_fault(make_client, post_messages, caplog):
    left, refused = Event(), Event()

    def refuse(model, problem, progress):
        progress(0, torch.zeros(problem.num_starts, 8))
        assert left.wait(20)
        refused.set()
        raise ProblemError("no architecture keeps all limits")

    messages = [{"type": "http.request", "body": b"{}", "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    with make_client(solve=refuse) as client:
        post_messages(client, receive, STREAM)
        left.set()
        assert refused.wait(20)
        client.get("/health/live")  # by when its end has reached the event loop
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_busy_service_refuses_the_stream(make_client, stand_in, check_problem):
    entered, release = Event(), Event()

    def slow(model, problem, progress=None):
        entered.set()
        release.wait(20)
        return stand_in.solve(model, problem, progress)

    with make_client(solve=slow, workers=1, max_waiting=0) as client, ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, STREAM, json={})
        assert entered.wait(20)
        check_problem(client.post(STREAM, json={}), 503, "busy")
        release.set()
        assert events(first.result())[-1][0] == "answer"
