import pytest

from crlso.exceptions import ArchitectureError, BundleError, CrlsoError, ProblemError, TableError, UnknownNameError


def test_paths_and_methods_that_are_not_there(client, check_problem):
    assert "/openapi.json" in check_problem(client.get("/nothing"), 404, "no-such-path")["detail"]
    response = client.get("/optimize")
    check_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (UnknownNameError, 404, "unknown-name"),
        (ArchitectureError, 422, "invalid-architecture"),
        (ProblemError, 422, "unsolvable-problem"),
        (TableError, 422, "unsolvable-problem"),
        (CrlsoError, 422, "unsolvable-problem"),
        (BundleError, 503, "model-unavailable"),
    ],
)
def test_the_librarys_errors_keep_their_text(make_client, check_problem, error, status, slug):
    def refuse(model, problem):
        raise error("wrong; this would be right")

    with make_client(solve=refuse) as client:
        content = check_problem(client.post("/optimize", json={}), status, slug)
    assert content["detail"] == "wrong; this would be right"


def test_a_long_text_is_not_quoted_back_whole(client, check_problem):
    response = client.post("/optimize", json={"start_from": ["x" * 100_000]})
    check_problem(response, 422, "invalid-architecture")
    assert len(response.content) < 2000


def test_a_wrong_method_is_told_all_right_ones(client, check_problem):
    for path, methods in (
        ("/v1/studies", "GET, POST"),
        (f"/v1/studies/{'0' * 16}", "DELETE, GET"),
        ("/optimize", "POST"),
    ):
        answer = client.options(path)
        check_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == methods
