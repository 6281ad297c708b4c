"""Checks that a body is of a kind that is read here, and exactly what its handler declares.

Litestar itself looks at no Content-Type, and would take "5" for 5.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request

from libs.common.texts import gettext_noop as n_
from services.api.http.errors import InvalidFields, MalformedBody, UnsupportedMediaType
from services.api.http.fields import in_words
from services.api.schemas import Body

JSON = "application/json"
WITH_BODY = ("POST", "PATCH", "PUT")

_AT = re.compile(r"^(?P<message>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)
_NAMES = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)


async def check(request: Request[Any, Any, Any]) -> None:
    """Raise UnsupportedMediaType, MalformedBody or InvalidFields unless the body is what the handler's `data` says."""
    coding = request.headers.get("content-encoding")
    if request.method in WITH_BODY and coding is not None and coding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Content-Encoding: the body must be sent as it is", {"Accept-Encoding": "identity"})
    body = declared(request.route_handler.parsed_fn_signature.parameters)
    if body is None:
        return
    kind, options = request.content_type
    raw = await request.body()
    if (raw or kind) and (kind != JSON or options.get("charset", "utf-8").lower() != "utf-8"):
        raise UnsupportedMediaType(f"Content-Type: must be {JSON}", {"Accept": JSON})
    try:
        msgspec.json.decode(raw, type=body)
    except msgspec.ValidationError as error:
        raise InvalidFields(_field(str(error))) from None
    except RecursionError:
        raise InvalidFields(("", n_("is nested too deep"))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedBody from None


def declared(parameters: Mapping[str, Any]) -> type[Body] | None:
    """Return what a handler's `data` is to be; None where it reads no JSON."""
    definition = parameters.get("data")
    if definition is None or not (isinstance(definition.annotation, type) and issubclass(definition.annotation, Body)):
        return None
    return definition.annotation


def _field(text: str) -> tuple[str, str]:
    """Split what msgspec says into the field's path, such as `segments[0].ratio`, and the message."""
    match = _AT.match(text)
    assert match is not None
    message, path = match["message"], match["path"] or ""
    if names := _NAMES.match(message):
        path = f"{path}.{names['name']}" if path else names["name"]
        message = "is missing" if names["what"].startswith("missing") else "is not a field of this"
    return path[:200], in_words(message)
