"""A request and its answer as plain values, and what the faults make of the way between them."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import msgspec

from libs.simulator.faults import ANSWER_KINDS, Faults, On

Handler = Callable[[], "Answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a carrier, read whole."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def basic_credentials(self) -> tuple[str, str]:
        """Return the user and password; empty ones, if there are none that can be read."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password

    def bearer_token(self) -> str:
        """Return the token; empty, if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a carrier says."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds before it is said.
    delay: float = 0.0
    #: The carrier's own code for an error, for the record.
    code: int | None = None
    #: Whether the connection breaks in the middle of it.
    is_cut: bool = False
    #: The fault that it met with, for the record.
    fault: str | None = None
    #: Whether a limit (no fault) turned the request away.
    is_violation: bool = False
    #: Whom a message was for, for the record.
    to: str | None = None

    @property
    def content_type(self) -> str:
        """What it is written as: a carrier's own answers are JSON, a gateway's are a page."""
        return "text/html" if isinstance(self.content, str) else "application/json"

    def encoded(self) -> bytes:
        """Write it."""
        return self.content.encode() if isinstance(self.content, str) else msgspec.json.encode(self.content)


def page(status: int) -> str:
    """Write an error as a gateway in front of a carrier does."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


def answer_with_faults(
    handle: Handler,
    faults: Faults,
    *,
    on: On,
    carrier: str,
    error: Callable[[int], Any],
    to: str | None = None,
) -> Answer:
    """Handle a request, or not, and answer, or not, as the fault wants that hits it; `error` writes an error's body."""
    fault = faults.find(on, ANSWER_KINDS, carrier=carrier, to=to)
    if fault is None:
        return replace(handle(), to=to)
    if fault.html:
        error = page
    match fault.kind:
        case "rate_limited":
            headers = {"Retry-After": str(fault.retry_after), "X-RateLimit-Remaining": "0"}
            answer = Answer(status=429, content=error(429), headers=headers)
        case "error_before":
            answer = Answer(status=fault.status, content=error(fault.status))
        case "error_after":
            handle()
            answer = Answer(status=fault.status, content=error(fault.status))
        case "cut_before":
            answer = Answer(status=201 if on == "send" else 200, content={}, is_cut=True)
        case "cut_after":
            answer = replace(handle(), is_cut=True)
        case _:
            answer = replace(handle(), delay=fault.seconds)
    return replace(answer, fault=fault.kind, to=to)
