"""A line a request, in which nobody can forge another."""

import json
import logging
import sys

from service.logs import JsonFormatter, log_request, request_id
from service.security import Caller


def test_a_request_is_one_line_whatever_its_path(caplog):
    with caplog.at_level(logging.INFO, "service.requests"):
        scope = {"method": "GET", "path": "/x\n2026 INFO forged", "state": {"caller": Caller("me", "read")}}
        log_request(scope, 404, 0.0123)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert record.fields == {"method": "GET", "path": "/x\n2026 INFO forged", "status": 404, "ms": 12.3, "caller": "me"}


def test_as_json_a_line_is_an_object_with_the_request_id():
    token = request_id.set("abc")
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("service", logging.ERROR, "", 0, "it %s", ("failed",), sys.exc_info())
    text = JsonFormatter().format(record)
    request_id.reset(token)
    assert "\n" not in text
    found = json.loads(text)
    assert (found["message"], found["request_id"], found["level"]) == ("it failed", "abc", "ERROR")
    assert "ValueError" in found["exception"]


def test_answers_and_log_share_the_request_id(client, caplog):
    with caplog.at_level(logging.INFO, "service.requests"):
        answer = client.get("/v1/spaces")
    assert answer.headers["x-request-id"]
    assert [record.fields["path"] for record in caplog.records] == ["/v1/spaces"]
