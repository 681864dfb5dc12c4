"""The paths of the service as a page, made from its OpenAPI document."""

from __future__ import annotations

from typing import Any

_INTRODUCTION = """# Paths of the service

Made from the OpenAPI document by `crlso service reference`; the document itself is at `/openapi.json`, and a copy is
[openapi.json](openapi.json). Every error is `application/problem+json`, its `type` explained at the path that it names.
"""


def reference(document: dict[str, Any]) -> str:
    """A Markdown page with a section for each path."""
    sections = [_INTRODUCTION]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            sections.append(_section(f"{method.upper()} {path}", operation))
    return "\n".join(sections)


def _section(title: str, operation: dict[str, Any]) -> str:
    lines = [f"## `{title}`", "", operation["description"], ""]
    for parameter in operation.get("parameters", ()):
        needed = "" if parameter.get("required") else ", optional"
        said = parameter.get("description") or ""
        lines.append(f"- `{parameter['name']}` ({parameter['in']}{needed}): {said}".rstrip(": "))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(f"- body: {_named(content['schema'], kind)}")
    for status, response in operation["responses"].items():
        if status != "default":
            content = " or ".join(_named(one["schema"], kind) for kind, one in response.get("content", {}).items())
            lines.append(f"- {status}: {response['description']}{f', {content}' if status < '3' and content else ''}")
    return "\n".join([*lines, ""])


def _named(schema: dict[str, Any], kind: str) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"`{name}`" if name else f"`{kind}`"
