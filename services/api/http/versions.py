"""`ETag` and `If-Match`: a change that was made for what somebody read is not made to what it has become since.

The tag is a digest of what GET answers, so it changes whenever anything in that does.
"""

import hashlib
import re
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

from libs.common.errors import Invalid
from services.api.http import contract
from services.api.http.errors import Changed

HEADER = "If-Match"
WANTED = 'must be tags as ETag gave them, such as "5d41402abc4b2a76", or *'

#: One tag of a list (RFC 9110, 8.8.3); the rest of the list behind it.
_TAG = re.compile(r'[\s,]*(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"\s*(?=,|$)')

T = TypeVar("T")


def tag(content: Any) -> str:
    """Return the entity tag of an answer."""
    return f'"{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:32]}"'


def tagged(content: T, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[T]:
    """Return an answer with its tag."""
    return Response(content, status_code=status, headers={**(headers or {}), "ETag": tag(content)})


def asked(request: Request[Any, Any, Any]) -> frozenset[str] | None:
    """Return the tags of `If-Match`; None where any version will do. Raise Invalid if it is no list of tags.

    Only strong tags are in it: RFC 9110 has a weak one match nothing.
    """
    assert contract.of(request.route_handler).versioned, "the handler does not tell that it has versions"
    if HEADER.lower() not in request.headers:
        return None
    given = ", ".join(request.headers.getall(HEADER.lower()))
    if given.strip() == "*":
        return None
    found, place = set(), 0
    if not given.strip(" \t,"):
        raise Invalid(HEADER, WANTED)
    while place < len(given.rstrip(" \t,")):
        match = _TAG.match(given, place)
        if match is None:
            raise Invalid(HEADER, WANTED)
        if not match["weak"]:
            found.add(f'"{match["tag"]}"')
        place = match.end()
    return frozenset(found)


def check(wanted: frozenset[str] | None, content: Any) -> None:
    """Raise Changed unless what is there is a version that the caller wants."""
    if wanted is not None and tag(content) not in wanted:
        raise Changed
