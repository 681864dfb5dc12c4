"""The OpenAPI document tells the truth about the application."""

from importlib.metadata import version

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import positive_data_acceptance

from service.app import create_app
from service.problems import KINDS
from service.settings import Settings

NOT_JSON = {
    "/v1/optimize/stream": ["text/event-stream"],
    "/v1/spaces/{space}/drawing": ["image/svg+xml"],
    "/v1/spaces/{space}/export": ["model/onnx", "text/x-python"],
}
"""What succeeds with something else."""


def test_answers_anything_as_the_document_says(models, stand_in):
    app = create_app(Settings(models=models), load=stand_in.load, solve=stand_in.solve)
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [result.ok() for result in document.get_all_operations()]
    assert "/optimize" in {operation.path for operation in operations}

    for operation in operations:

        @settings(max_examples=50, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def check(case):
            # Some laws are beyond a schema: a constraint needs a limit, an architecture must parse.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()


def test_document(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == version("crlso")
    assert {"/optimize", "/v1/optimize", "/v1/spaces", "/v1/models", "/v1/models/{name}"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                expected = ["application/problem+json"]
                if status.startswith("2"):
                    expected = NOT_JSON.get(path, ["application/json"])
                assert list(response["content"]) == expected
                if expected[0].endswith("json"):
                    assert "$ref" in response["content"][expected[0]]["schema"]


def test_examples_are_what_their_schema_says(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("OptimizeRequest", "OptimizeResponse"):
        validator = jsonschema_rs.validator_for(
            {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        )
        examples = schemas[name]["examples"]
        assert examples
        for example in examples:
            assert [str(error) for error in validator.iter_errors(example)] == []


def test_example_problems_are_the_kinds_that_exist(client):
    document = client.get("/openapi.json").json()
    for status, response in document["paths"]["/optimize"]["post"]["responses"].items():
        for slug, example in response["content"].get("application/problem+json", {}).get("examples", {}).items():
            assert (str(KINDS[slug].status), KINDS[slug].type) == (status, example["value"]["type"])


def test_example_request_is_answered(client):
    document = client.get("/openapi.json").json()
    simplest = document["components"]["schemas"]["OptimizeRequest"]["examples"][0]
    assert client.post("/optimize", json=simplest).status_code == 200
