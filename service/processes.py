"""What processes of the service have in common."""

from __future__ import annotations

import logging
import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Have this process end with the service and not before it, which is still to tell it so."""
    os.setsid()  # what a terminal sends to the service's group is the service's business
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    Thread(target=watch, name="watching the service", daemon=True).start()
