"""What `python -m service` says before and while it listens."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlencode

import httpx2
import pytest
import uvicorn

from service.__main__ import UVICORN, Server, main
from service.app import create_app
from service.settings import Settings


@pytest.fixture
def serve(models, stand_in):
    """Starts a server on a free port and returns it once it listens."""
    running = []

    def start():
        app = create_app(Settings(models=models, data=models.parent / "data"), load=stand_in.load, solve=stand_in.solve)
        server = Server(uvicorn.Config(app, port=0, **UVICORN), app)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


def printed(capsys):
    text = ""
    deadline = time.monotonic() + 5
    while not text.endswith("\n") and time.monotonic() < deadline:
        text += capsys.readouterr().out
        time.sleep(0.01)
    return text


def test_prints_a_request_that_is_answered(serve, add, capsys):
    add("beta")  # the request must name its model, since there are two
    serve()
    line = next(line for line in printed(capsys).splitlines() if "curl" in line)
    command, _, url, _, header, _, body = shlex.split(line)
    name, _, value = header.partition(": ")
    assert command == "curl"
    response = httpx2.post(url, headers={name: value}, content=body)
    assert response.status_code == 200
    assert response.json()["model"] == "alpha"


def test_the_longest_notation_of_the_widest_letters_fits_a_request(serve, capsys):
    serve()
    connection = HTTPConnection(re.search(r"http://([\d.:]+)", printed(capsys))[1])  # httpx2 makes no URL as long
    connection.request("GET", f"/v1/spaces/nasbench201/drawing?{urlencode({'architecture': chr(0x1F989) * 20_000})}")
    response = connection.getresponse()
    assert (response.status, response.headers["content-type"]) == (422, "application/problem+json")
    connection.close()


def test_says_how_to_get_a_model_when_there_is_none(serve, models, capsys):
    shutil.rmtree(models)
    serve()
    assert "crlso.train" in printed(capsys)


def test_a_bad_setting_is_named_without_a_stack_trace(monkeypatch, capsys):
    monkeypatch.setenv("CRLSO_PORT", "many")
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("CRLSO_PORT: ")


def test_ends_with_exit_code_0_when_told_to(tmp_path):
    environment = {**os.environ, "CRLSO_PORT": "0", "CRLSO_MODELS": str(tmp_path), "CRLSO_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "service"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert any("running on" in line for line in server.stderr)
        server.terminate()
        assert server.wait(30) == 0
