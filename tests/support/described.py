"""Whether an answer is one that the API's description tells of. The API's tests look at every answer that they get."""

import re
from functools import cache
from typing import Any

import httpx

from services.api import app

#: Answered by the front door or the router, whatever the route: no operation tells them.
OF_NO_OPERATION = (404, 405)


@cache
def _templates() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    paths = sorted(app.description()["paths"].items(), key=lambda item: item[0].count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path) + "/?"), item) for path, item in paths]


def operation(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation of a request; None where there is none."""
    item = next((item for pattern, item in _templates() if pattern.fullmatch(path)), None)
    found: dict[str, Any] | None = item and item.get({"HEAD": "get"}.get(method, method.lower()))
    return found


async def check(response: httpx.Response) -> None:
    """Raise AssertionError for an answer that nobody was told of."""
    request = response.request
    path = request.url.path
    if path.startswith(("/schema", "/metrics", "/desk")) or request.method == "OPTIONS":
        return
    where = f"{request.method} {path} answers {response.status_code}"
    told = operation(request.method, path)
    if told is None:
        assert response.status_code in (*OF_NO_OPERATION, 400), f"{where}, which no operation tells of"
        return
    assert str(response.status_code) in told["responses"], f"{where}, which its description does not tell"
    answer = told["responses"][str(response.status_code)]
    kind = response.headers.get("content-type", "").partition(";")[0]
    if request.method != "HEAD":
        assert kind in answer.get("content", {"": None}), f"{where} as {kind!r}, which its description does not tell"
    missing = [name for name in answer.get("headers", {}) if name not in OPTIONAL and name not in response.headers]
    assert not missing, f"{where} without {missing}"
    if kind == "application/problem+json" and request.method != "HEAD":
        await response.aread()
        type_ = response.json()["type"]
        assert type_ in _types(answer["content"][kind]["schema"]), f"{where} as {type_}, which it does not tell"


#: Headers of which one or the other is there.
OPTIONAL = ("Accept", "Accept-Encoding")


def _types(schema: dict[str, Any]) -> set[str]:
    names = [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
    schemas = app.description()["components"]["schemas"]
    return {schemas[name]["properties"]["type"]["const"] for name in names}
