"""Photographs the page for the documentation: python docs/images/take.py MODELS, with crlso[dev,bench] and chromium.

The model `nasbench201-cifar10` of `make run` is shown, an ascent of its default request on it.
"""

import io
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from service.app import create_app
from service.settings import Settings

WIDE = {"viewport": {"width": 1360, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def photograph(browser: Browser, url: str, name: str, options: dict) -> None:
    """Climb, look at one architecture, and save what is seen in few colours."""
    page = browser.new_page(**options)
    page.goto(url)
    page.wait_for_selector("#known tbody tr", state="attached")
    page.click("#optimise button[type=submit]")
    page.wait_for_selector("#cards li")
    page.wait_for_selector("#cell code")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(1500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, kmeans=4).save(Path(__file__).with_name(f"{name}.png"), optimize=True)
    page.close()


def main() -> None:
    """Serve the models and take the pictures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(Settings(models=Path(sys.argv[1])))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, options in (
            ("page-light", {**WIDE, "color_scheme": "light"}),
            ("page-dark", {**WIDE, "color_scheme": "dark"}),
            ("page-phone", {**PHONE, "color_scheme": "light"}),
        ):
            photograph(browser, f"http://127.0.0.1:{port}", name, options)


if __name__ == "__main__":
    main()
