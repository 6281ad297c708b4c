"""Checks that a request's query holds what its handler reads, and nothing else.

A filter that is misspelt would otherwise be no filter: `GET /contacts?name=x` gave everybody.
"""

from collections.abc import Collection
from typing import Any, get_args

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from services.api.http.errors import InvalidFields

#: What a handler's `opt` says if its query is somebody else's: the address of a webhook is what the carrier was given.
ANY_QUERY = {"any_query": True}
SHOWN = 60  # characters of a name
MOST = 20  # names that an answer has


def check(request: Request[Any, Any, Any]) -> None:
    """Raise InvalidFields for parameters that the handler does not know, and for those that are there twice."""
    handler = request.route_handler
    values = list(request.query_params.multi_items())
    given = [name for name, _ in values]
    if not given or handler.opt.get("any_query") or request.method == HttpMethod.OPTIONS:
        return
    known = parameters(handler)
    faults = [(name[:SHOWN], _unknown(known)) for name in dict.fromkeys(given) if name not in known]
    faults += [(name, "is given more than once") for name in known if given.count(name) > 1]
    # Litestar reads "null" as no value, where a parameter may be left out: a filter that would be none.
    faults += [
        (name, "is no value of this")
        for name, value in values
        if value.lower() == "null" and name in known and not _takes_text(known[name])
    ]
    if faults:
        raise InvalidFields(*faults[:MOST])


def parameters(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """Return the query parameters that a handler reads, by their names as a client sends them."""
    found = handler.parsed_fn_signature.parameters.items()
    return {
        field.kwarg_definition.name or name: field
        for name, field in found
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def _takes_text(field: FieldDefinition) -> bool:
    return str in (field.annotation, *get_args(field.annotation))


def _unknown(known: Collection[str]) -> str:
    return f"is not a parameter of this; there are: {', '.join(known)}" if known else "this takes no parameters"
