"""One handler as an operation of OpenAPI 3.1: what follows from its signature, its method and what it tells.

Whatever every handler of a kind may answer is added here, in one place, so that a new route tells it by construction.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from litestar import Response
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg, PathParameter, QueryParameter
from litestar.response import ServerSentEvent, Stream
from litestar.types import Empty
from litestar.typing import FieldDefinition

from libs.common import errors
from services.api.http import body_validation, contract, failures, idempotency, problems, versions
from services.api.http.errors import (
    Changed,
    Forbidden,
    InvalidFields,
    KeyReused,
    MalformedBody,
    MalformedRequest,
    NotReady,
    Unauthorized,
    UnsupportedMediaType,
)
from services.api.http.problems import Problem

REF = "#/components/schemas/{name}"
CHANGING = ("POST", "PATCH", "PUT", "DELETE")
LIMITS = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")

_PARAMETER = re.compile(r"{(\w+):\w+}")

#: Headers of a problem, by status.
HEADERS = {
    401: {"WWW-Authenticate": "how to say who calls: `Bearer`"},
    415: {"Accept": "the kinds of bodies that are read", "Accept-Encoding": "the codings that are read: `identity`"},
    429: {"Retry-After": "seconds to wait before the request is sent again"},
    503: {"Retry-After": f"seconds to wait before the request is sent again: {failures.RETRY_AFTER}"},
}

Schema = dict[str, Any]
#: A function that returns the schema of a type, with references into the components.
SchemaOf = Callable[[Any], Schema]


def path(template: str) -> str:
    """Return a path as OpenAPI writes it."""
    return _PARAMETER.sub(r"{\1}", template) or "/"


def operation_id(method: str, template: str) -> str:
    """Return an operation's id, from its method and path: it stays as long as these do. What has an id is singular."""
    words = [method.lower()]
    for part in template.strip("/").split("/"):
        if not part.startswith("{"):
            words.append(re.sub(r"\W+", "_", part))
        else:
            words[-1] = re.sub("s$", "", re.sub("ies$", "y", words[-1]))
    return "_".join(words)


def data(handler: HTTPRouteHandler) -> type[msgspec.Struct] | None:
    """Return the type of the JSON that a handler reads."""
    return body_validation.declared(handler.parsed_fn_signature.parameters)


def answer(handler: HTTPRouteHandler) -> Any:
    """Return the type of what a handler answers."""
    returned = handler.parsed_fn_signature.return_type
    if returned.is_subclass_of(Response) and not returned.is_subclass_of((Stream, ServerSentEvent)):
        return returned.inner_types[0].annotation if returned.inner_types else Any
    return returned.annotation


def describe(handler: HTTPRouteHandler, method: str, template: str, schema_of: SchemaOf, tag: str) -> Schema:
    """Return a handler as an operation."""
    doc = inspect.getdoc(handler.fn) or ""
    operation = {
        "tags": [tag],
        "operationId": operation_id(method, template),
        "summary": doc.partition(".")[0].replace("\n", " "),
        "description": doc,
        "parameters": list(_parameters(handler, method, schema_of)),
        "responses": {**_success(handler, schema_of), **_failures(handler, method)},
    }
    if content := _content(handler, schema_of):
        operation["requestBody"] = {"required": True, "content": content}
    if handler.opt.get("public"):
        operation["security"] = []
    return operation


def may_answer(handler: HTTPRouteHandler, method: str) -> list[Problem]:
    """Return every problem that a handler may answer, by status and name."""
    says = contract.of(handler)
    found: set[type[BaseException]] = {MalformedRequest, NotReady, Exception, *says.problems}
    if not handler.opt.get("public"):
        found |= {Unauthorized, Forbidden}
    if any("{" in each for each in handler.paths):
        found |= {errors.NotFound, InvalidFields}
    if not handler.opt.get("any_query"):
        found.add(InvalidFields)
    if method in body_validation.WITH_BODY:
        found |= {MalformedBody, RequestEntityTooLarge, UnsupportedMediaType}
    if says.idempotent:
        found.add(KeyReused)
    if says.versioned and method in CHANGING and method != "POST":
        found.add(Changed)
    return sorted({problems.PROBLEMS[each] for each in found}, key=lambda problem: (problem.status, problem.name))


def component(problem: Problem) -> str:
    """Return the name of a problem's schema."""
    return "".join(word.title() for word in problem.name.split("-")) + "Problem"


def _parameters(handler: HTTPRouteHandler, method: str, schema_of: SchemaOf) -> Iterator[Schema]:
    for name, field in handler.parsed_fn_signature.parameters.items():
        kwarg = field.kwarg_definition
        if isinstance(kwarg, PathParameter | QueryParameter):
            in_path = isinstance(kwarg, PathParameter)
            required = in_path or (field.default in (Empty, ...) and not field.is_optional)
            yield {
                "name": kwarg.name or name,
                "in": "path" if in_path else "query",
                "required": required,
                **({"description": kwarg.description} if kwarg.description else {}),
                "schema": _parameter(field, kwarg, schema_of),
            }
    says = contract.of(handler)
    for name, description in says.reads.items():
        yield _header(name, description, {"type": "string"}, required=True)
    if says.idempotent:
        yield _header(idempotency.HEADER, "a request that is sent again with its key is carried out once", {
            "type": "string", "minLength": 1, "maxLength": idempotency.LONGEST, "pattern": "^[ -~]+$"
        })  # fmt: skip
    if says.versioned and method in CHANGING and method != "POST":
        yield _header(versions.HEADER, "the `ETag` of what is to be changed; it is changed only if it is still that", {
            "type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*")$', "examples": ["*"]
        })  # fmt: skip


def _header(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _parameter(field: FieldDefinition, kwarg: ParameterKwarg, schema_of: SchemaOf) -> Schema:
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):
        others = tuple(each for each in get_args(kind) if each is not NoneType)
        kind = Union[others]  # noqa: UP007 - made of what is there
    limits: dict[str, Any] = {name: each for name in LIMITS if (each := getattr(kwarg, name)) is not None}
    schema = schema_of(Annotated[kind, msgspec.Meta(**limits)] if limits else kind)
    if field.default not in (Empty, None, ...):
        schema["default"] = field.default
    return schema


def _content(handler: HTTPRouteHandler, schema_of: SchemaOf) -> Schema:
    if (read := data(handler)) is not None:
        return {body_validation.JSON: {"schema": schema_of(read)}}
    return {kind: {"schema": schema} for kind, schema in contract.of(handler).body.items()}


def _success(handler: HTTPRouteHandler, schema_of: SchemaOf) -> Schema:
    says = contract.of(handler)
    kind = answer(handler)
    content: Schema | None
    if kind is NoneType or kind is None:
        content = None
    elif isinstance(kind, type) and issubclass(kind, ServerSentEvent):
        content = {"text/event-stream": {"schema": {"type": "string"}}}
    elif isinstance(kind, type) and issubclass(kind, Stream | str | bytes):
        content = {str(handler.media_type).partition(";")[0]: {"schema": {"type": "string"}}}
    else:
        content = {body_validation.JSON: {"schema": schema_of(kind)}}
    headers = dict(says.answers)
    if says.versioned:
        headers["ETag"] = "the version, for `If-Match`"
    return {
        str(handler.status_code): {
            "description": HTTPStatus(handler.status_code).phrase,
            **({"headers": _headers(headers)} if headers else {}),
            **({"content": content} if content else {}),
        }
    }


def _headers(described: dict[str, str]) -> Schema:
    return {name: {"description": description, "schema": {"type": "string"}} for name, description in described.items()}


def _failures(handler: HTTPRouteHandler, method: str) -> Schema:
    by_status: dict[int, list[Problem]] = {}
    for problem in may_answer(handler, method):
        by_status.setdefault(problem.status, []).append(problem)
    return {str(status): _failure(status, found) for status, found in by_status.items()}


def _failure(status: int, found: list[Problem]) -> Schema:
    schemas = [{"$ref": REF.format(name=component(problem))} for problem in found]
    return {
        "description": "; ".join(problem.title for problem in found),
        **({"headers": _headers(HEADERS[status])} if status in HEADERS else {}),
        "content": {problems.MEDIA_TYPE: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }
