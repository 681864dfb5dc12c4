"""Commands and groups of commands of `crlso`, one module each; `crlso.cli` puts them together."""
