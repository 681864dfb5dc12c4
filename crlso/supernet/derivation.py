"""What comes out of a search: the front of its records, as JSON, as a plot and as drawings.

    pareto.json     settings, all records, and the front: architectures that no other beats in accuracy and params
    pareto.svg      accuracy against params and FLOPs
    arch-1.svg …    the front's architectures, by rising params

The accuracy of a record is the supernet's, on images that were held out of the search, at the moment when the
architecture stood; what it is worth alone says training it alone (`crlso.supernet.standalone`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crlso.exceptions import ProblemError
from crlso.spaces import get_space
from crlso.supernet.checkpoint import load_state
from crlso.supernet.plot import draw_front
from crlso.supernet.runs import CHECKPOINT, Row, write_json
from crlso.supernet.searching import COLLAPSE, front

PARETO = "pareto.json"


def derive(folder: Path) -> list[Row]:
    """Write what the module's header lists, of a search that is over or still under way; the front.

    Raises:
        ProblemError: the folder holds no search.
    """
    try:
        saved = load_state(folder / CHECKPOINT)
        settings, records = saved["settings"], saved["task"]["records"]
    except (KeyError, TypeError) as error:
        raise ProblemError(f"{folder} holds no search in a supernet") from error
    best = front(records)
    name = settings["method"]["name"]
    write_json(folder / PARETO, {"settings": settings, "records": records, "front": best})
    title = f"{name} on {settings['space']}, {Path(settings['dataset']).stem}"
    (folder / "pareto.svg").write_text(draw_front(records, best, title=title))
    space = get_space(settings["space"])
    for old in folder.glob("arch-*.svg"):
        old.unlink()
    for number, record in enumerate(best, start=1):
        (folder / f"arch-{number}.svg").write_text(space.draw(space.parse(record["architecture"])))
    return best


def read_front(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """Settings and front that `derive` left in a folder.

    Raises:
        ProblemError: there is none.
    """
    try:
        content = json.loads((folder / PARETO).read_text())
        return content["settings"], content["front"]
    except (OSError, ValueError, KeyError) as error:
        raise ProblemError(f"{folder} holds no front: crlso supernet derive {folder} makes it") from error


def collapsed(records: list[Row]) -> bool:
    """Whether the architecture that stood last is mostly skip connections."""
    return bool(records) and records[-1]["skips"] >= COLLAPSE
