"""The API's description of itself: OpenAPI 3.1, made from the handlers, served as data.

The schemas are those by which msgspec reads and writes, so a limit in them is a limit. The page to read it on is the
desk's (`desk/api_page.py`): those that Litestar has run scripts of others in the browser, where somebody types a key.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import yaml  # type: ignore[import-untyped]
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from services.api.http import operations, problems_page
from services.api.http.auth import PUBLIC
from services.api.http.operations import REF, Schema
from services.api.http.problems import Problem

TITLE = "Broadsheet"
VERSION = "1"
ABOUT = """\
SMS broadcasts: a first message, ten minutes, a second one to those who did not answer.

Whatever goes wrong is an RFC 9457 problem; docs/problems.md says what each type means. Every POST that creates or
starts something takes an `Idempotency-Key`. Lists are read page by page: `next_cursor` of one is the next one's
`cursor`."""

TAGS = {
    "broadcasts": "Broadcasts: scheduling them, what staff do to them, and what became of them",
    "keywords": "Words by which people sign up, and what they get then (docs/consent.md)",
    "segments": "Who is drawn from: a name and a filter (docs/segments.md)",
    "contacts": "People, one by one or by the file",
    "numbers": "Our numbers, and how each sends (docs/numbers.md). Admins change them",
    "replies": "What people write back",
    "consent": "The register of every opt-out and opt-in, for an auditor",
    "users": "People who may sign in to the desk, and their sessions. For admins",
    "keys": "API keys. For admins",
    "audit": "Who did what",
    "webhooks": "What the carriers call. Signed by them; no key",
    "health": "Whether the API lives and can work. No key",
}
#: Routes whose first part is not the name of their tag.
TAG_OF = {"make": "broadcasts", "responses": "broadcasts", "stop": "broadcasts"}

#: The same thing, said so that ECMA's regular expressions have it: Python's `$` would let a newline pass.
_END = r"(?![\s\S])"
_PAGE = re.compile(r"^Page_(\w+)_$")


def describe(handlers: Sequence[object]) -> dict[str, Any]:
    """Return the description of all handlers that are in it."""
    routes = list(_routes(handlers))
    kinds = [kind for handler, *_ in routes for kind in (operations.data(handler), operations.answer(handler))]
    structs = [kind for kind in kinds if _has_schema(kind)]
    _, schemas = msgspec.json.schema_components(structs, ref_template=REF)

    def schema_of(kind: Any) -> Schema:
        [schema], _ = msgspec.json.schema_components([kind], ref_template=REF)
        return schema

    paths: dict[str, Schema] = {}
    for handler, method, template in routes:
        tag = tag_of(template)
        operation = operations.describe(handler, method, template, schema_of, tag)
        paths.setdefault(operations.path(template), {})[method.lower()] = operation
    used = {operation["tags"][0] for path in paths.values() for operation in path.values()}
    described = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items() if name in used],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas, **{operations.component(each): _schema(each) for each in problems_page.known()}},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key"}},
        },
    }
    tidied: dict[str, Any] = _tidied(described)
    return tidied


def tag_of(template: str) -> str:
    """Return the tag that a route belongs to."""
    first = template.strip("/").split("/")[0]
    return TAG_OF.get(first, first)


def handlers(describing: Callable[[], dict[str, Any]]) -> tuple[HTTPRouteHandler, ...]:
    """Return the handlers that serve a description, as JSON and as YAML; it is made when somebody asks for it."""

    @get(["/schema", "/schema/openapi.json"], opt=PUBLIC, include_in_schema=False, name="openapi.json")
    async def schema_json() -> Response[bytes]:
        raw = json.dumps(describing(), ensure_ascii=False, indent=1).encode()
        return Response(raw, media_type="application/vnd.oai.openapi+json")

    @get("/schema/openapi.yaml", opt=PUBLIC, include_in_schema=False, name="openapi.yaml")
    async def schema_yaml() -> Response[bytes]:
        raw = await asyncio.to_thread(yaml.safe_dump, describing(), sort_keys=False, allow_unicode=True)
        return Response(raw.encode(), media_type="application/vnd.oai.openapi")

    return (schema_json, schema_yaml)


def _routes(given: Sequence[object]) -> Iterator[tuple[HTTPRouteHandler, str, str]]:
    for handler in given:
        if isinstance(handler, HTTPRouteHandler):
            for template in sorted(handler.paths):
                for method in sorted(handler.http_methods):
                    yield handler, str(method), template


def _has_schema(kind: Any) -> bool:
    return not (kind is None or (isinstance(kind, type) and not issubclass(kind, msgspec.Struct)))


def _schema(problem: Problem) -> Schema:
    schema: Schema = {
        "title": operations.component(problem),
        "description": problem.advice,
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": problem.type},
            "title": {"type": "string"},
            "status": {"type": "integer", "const": problem.status},
            "detail": {"type": "string", "description": "what is wrong, in words"},
        },
        "required": ["type", "title", "status"],
        "examples": [{"type": problem.type, "title": problem.title, "status": problem.status}],
    }
    if problem.name == "invalid-field":
        schema["properties"]["errors"] = {"type": "array", "items": {
            "type": "object",
            "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            "required": ["field", "message"],
        }}  # fmt: skip
    return schema


def _tidied(value: Any) -> Any:
    """Return a description with what msgspec writes for Python put as OpenAPI's readers know it."""
    if isinstance(value, list):
        return [_tidied(each) for each in value]
    if isinstance(value, str):
        return _renamed(value)
    if not isinstance(value, dict):
        return value
    tidied = {_page(key): _tidied(each) for key, each in value.items()}
    if tidied.get("type") == "integer":
        if isinstance(tidied.get("exclusiveMinimum"), int):
            tidied["minimum"] = tidied.pop("exclusiveMinimum") + 1
        tidied.setdefault("format", "int64")
    if "type" not in tidied and all(isinstance(each, str) for each in tidied.get("enum", (None,))):
        tidied["type"] = "string"
    if isinstance(tidied.get("pattern"), str):
        tidied["pattern"] = tidied["pattern"].replace(_END, "$")
    return tidied


def _renamed(text: str) -> str:
    head = REF.format(name="")
    return head + _page(text.removeprefix(head)) if text.startswith(head) else text


def _page(name: str) -> str:
    match = _PAGE.match(name)
    return f"{match[1]}Page" if match else name
