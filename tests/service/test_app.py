"""The OpenAPI document tells the truth about the application."""

from importlib.metadata import version

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import positive_data_acceptance

from service.app import create_app
from service.problems import KINDS
from service.settings import Settings
from service.store.database import Database, StoreError

schemathesis.serializer.alias("application/zip", "application/octet-stream")


def test_answers_anything_as_the_document_says(models, stand_in, monkeypatch):
    settings_of_service = Settings(models=models, data=models.parent / "data", rate=1e6, burst=10**6)
    app = create_app(settings_of_service, load=stand_in.load, solve=stand_in.solve)
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.start", lambda _: None)
    monkeypatch.setattr("service.jobs.dispatcher.Dispatcher.close", lambda _: None)
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    document.config.base_url = "http://localhost"
    operations = [result.ok() for result in document.get_all_operations()]
    assert "/optimize" in {operation.path for operation in operations}

    for operation in operations:

        @settings(max_examples=20, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def check(case):
            # Some laws are beyond a schema: a constraint needs a limit, an architecture must parse.
            case.call_and_validate(excluded_checks=[positive_data_acceptance], timeout=120)

        check()


def test_document(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == version("crlso")
    assert {"/optimize", "/v1/optimize", "/v1/spaces", "/v1/models", "/v1/models/{name}"} <= set(document["paths"])
    others = {
        "/v1/jobs/{job}/log": ["text/plain"],
        "/v1/jobs/{job}/events": ["text/event-stream"],
        "/metrics": ["text/plain"],
        "/v1/optimize/stream": ["text/event-stream"],
        "/v1/spaces/{space}/drawing": ["image/svg+xml"],
        "/v1/spaces/{space}/export": ["model/onnx", "text/x-python"],
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                good = others.get(path, ["application/json"])
                expected = [] if status == "204" else good if status.startswith("2") else ["application/problem+json"]
                assert list(response.get("content", ())) == expected
                for content in response.get("content", {}).values():
                    assert "$ref" in content["schema"] or status == "200"


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


def test_links_lead_to_operations_that_exist(client):
    document = client.get("/openapi.json").json()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    known = {operation["operationId"]: {p["name"] for p in operation.get("parameters", ())} for operation in operations}
    assert len(known) == len(operations)
    links = [
        link
        for operation in operations
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    assert all(link["parameters"].keys() <= known[link["operationId"]] for link in links)


def test_a_record_that_is_away_at_the_start_is_waited_for(make_client, monkeypatch):
    migrate, away = Database.migrate, [True, True]

    def sometimes(database):
        if away:
            away.pop()
            raise StoreError("away")
        migrate(database)

    monkeypatch.setattr(Database, "migrate", sometimes)
    monkeypatch.setattr("service.app._PAUSES", (0.01, 0.01, 0.01))
    with make_client() as client:
        assert client.get("/v1/studies").status_code == 200
    assert not away
