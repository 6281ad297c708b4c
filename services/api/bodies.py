"""Checks that a body is exactly what its handler declares: Litestar itself would take "5" for 5."""

import re
from typing import Any

import msgspec
from litestar import Request

from services.api.problems import InvalidFields, MalformedBody
from services.api.schemas import Body

_AT = re.compile(r"^(?P<message>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_NAMES = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)


async def check(request: Request[Any, Any, Any]) -> None:
    """Raise MalformedBody or InvalidFields unless the body is what the handler's `data` says."""
    definition = request.route_handler.parsed_fn_signature.parameters.get("data")
    if definition is None or not (isinstance(definition.annotation, type) and issubclass(definition.annotation, Body)):
        return
    try:
        msgspec.json.decode(await request.body(), type=definition.annotation)
    except msgspec.ValidationError as error:
        raise InvalidFields(_field(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody from None


def _field(text: str) -> tuple[str, str]:
    """Split what msgspec says into the field's path, such as `segments[0].ratio`, and the message."""
    match = _AT.match(text)
    assert match is not None
    message, path = match["message"], match["path"] or ""
    if names := _NAMES.match(message):
        path = f"{path}.{names['name']}" if path else names["name"]
        message = "is missing" if names["what"].startswith("missing") else "is not a field of this"
    return path[:200], message
