"""`python -m crlso.search`: the command `crlso search` under a name of its own."""

from __future__ import annotations

import sys

from crlso.cli import app

if __name__ == "__main__":
    app(["search", *sys.argv[1:]], prog_name="crlso")
