"""`python -m crlso` is the `crlso` command."""

from crlso.cli import app

if __name__ == "__main__":
    app(prog_name="crlso")
