"""Names of objects are there once."""

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from service.strict import StrictRoute


@pytest.fixture
def echo():
    router = APIRouter(route_class=StrictRoute)

    @router.post("/")
    async def read(request: Request):
        return [await request.json(), await request.json()]

    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


def test_what_is_there_once_is_read_as_ever(echo):
    body = {"a": [{"b": None}, {"b": 1.5}], "": {"a": "ü"}}
    assert echo.post("/", json=body).json() == [body, body]


@pytest.mark.parametrize("body", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": [], "c": 2}}]'])
def test_a_name_that_is_there_twice_is_a_mistake_at_any_depth(echo, body):
    refused = echo.post("/", content=body)
    assert refused.status_code == 400
    assert "'a' more than once" in refused.json()["detail"]
