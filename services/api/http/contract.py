"""What a handler tells about itself beyond its signature, for the API's description (`openapi.py`).

What every handler shares is written nowhere by hand: that a key is needed, that ids may name nothing, that bodies may
be malformed, that the database may be away (`operations.py`). Here is what only the handler knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar.handlers import BaseRouteHandler

OPT = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a handler may answer, and what it reads."""

    #: Errors that it raises, by their class in the table of problems.
    problems: tuple[type[BaseException], ...] = ()
    #: It reads `Idempotency-Key`.
    idempotent: bool = False
    #: Its answers have an `ETag`; a change of it reads `If-Match`.
    versioned: bool = False
    #: The body that it reads by itself: media type to schema.
    body: Mapping[str, Any] = field(default_factory=dict)
    #: Headers that it reads by itself, and what they hold; a request without them is refused.
    reads: Mapping[str, str] = field(default_factory=dict)
    #: Headers that its answers have, and what they hold.
    answers: Mapping[str, str] = field(default_factory=dict)


#: Answers that name what was created.
LOCATION = {"Location": "where what was created is"}

NOTHING = Contract()


def tells(*problems: type[BaseException], **more: Any) -> dict[str, Contract]:
    """Return what to put into a handler's `opt`."""
    return {OPT: Contract(problems=problems, **more)}


def of(handler: BaseRouteHandler) -> Contract:
    """Return what a handler says of itself."""
    contract: Contract = handler.opt.get(OPT, NOTHING)
    return contract
