"""A running service with studies and jobs from memory, and a browser that reports whatever goes wrong in it."""

import importlib.util
import shutil
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from crlso.latent.bundle import load_bundle, save_bundle
from crlso.tables import Metric, Table
from service.app import create_app
from service.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _fake():
    spec = importlib.util.spec_from_file_location("fake", Path(__file__).with_name("fake.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def folder(bundle, accuracy, tmp_path_factory):
    """A directory with one model, `small`, whose table has all 15,625 architectures."""
    model = load_bundle(bundle)
    noise = np.random.default_rng(0)
    archs = list(model.space.enumerate())
    worth = {}
    for arch in archs:
        worth.setdefault(arch.key, accuracy(arch))
    values = np.array([worth[arch.key] for arch in archs]) + noise.normal(0, 0.3, len(archs))
    metric = Metric("val_accuracy", unit="percent")
    table = Table(model.space.name, "made-up", [arch.text for arch in archs], {metric: values})
    known = tuple(arch.text for arch in model.known)
    path = tmp_path_factory.mktemp("served")
    save_bundle(path / "small", model.vae, model.space, metric, known, model.latents, table, {"quality": {}})
    return path


class Listening:
    """An application on a port of this machine."""

    def __init__(self, app):
        self.app = app
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(uvicorn.Config(self.app, port=self.port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(10)


class Served(Listening):
    """The service with studies and jobs from memory."""

    def __init__(self, models):
        self.module = _fake()
        app = self.module.fake_app(None)
        app.mount("/", create_app(Settings(models=models)))
        super().__init__(app)

    def renew(self):
        """Studies and jobs as at first."""
        self.fake = self.app.state.fake = self.module.Fake()


@pytest.fixture(scope="session")
def served(folder):
    """The service with its page; studies and jobs are made up."""
    with Served(folder) as served:
        yield served


@pytest.fixture
def whole(folder, tmp_path):
    """The service with studies and jobs of its own."""
    with Listening(create_app(Settings(models=folder, data=tmp_path / "data"))) as whole:
        yield whole


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; what needs it is skipped where it is missing."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Opens pages and keeps what a good page never does: errors in the console, and requests to anywhere else."""

    def __init__(self, browser, served):
        self.browser, self.served = browser, served
        self.errors, self.strangers, self.contexts = [], [], []

    def open(self, path="/", ready="#known tbody tr", service=None, **options):
        url = (service or self.served).url
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(30_000)  # for a busy machine
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda sent: self._see(sent.url, url))
        page.goto(url + path)
        page.wait_for_selector(ready, state="attached")
        return page

    def forgive(self, text):
        """Drop the browser's own words on an answer that was meant to fail."""
        self.errors = [error for error in self.errors if text not in error]

    def _see(self, sent, own):
        if not sent.startswith((own, "blob:")):
            self.strangers.append(sent)


@pytest.fixture
def visitor(browser, served):
    """Checks at the end that nothing went wrong that the test did not forgive."""
    served.renew()
    visitor = Visitor(browser, served)
    yield visitor
    for context in visitor.contexts:
        context.close()
    assert visitor.errors == []
    assert visitor.strangers == []
