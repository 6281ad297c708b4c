"""The one place that talks HTTP with a carrier: an answer, or what is known without one.

Every call ends within its time-out, the connection's own and one over the whole call (a carrier that sends a byte now
and then satisfies every read and never ends). Nothing is ever tried again here: the carriers have no idempotency key.

What a lost request may have done depends on how far it got. The recipient and the text are in the body, so until the
first byte of the body is written nobody can have been texted; from then on nothing is certain but an answer. httpcore
tells how far it is by the `trace` extension (https://www.python-httpx.org/advanced/extensions/#trace), in the task
that writes, with no suspension between the event and the write on a socket that takes it. aiohttp's tracing signals
come earlier (before the connection is chosen) or later (after a chunk was written); hence httpx.
"""

import asyncio
import functools
import json
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from libs.common import telemetry, tracing
from libs.common.carriers import codes, limits
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.outcomes import Deferred, Outcome, Refused, Unknown
from libs.common.clock import utc_now

CONNECT_TIMEOUT = 5.0  # seconds
TIMEOUT = 15.0  # seconds, for a whole call
#: Less than the 5 s after which many servers drop an idle connection: a request written just then is lost, and with it
#: the knowledge of what came of it.
KEEPALIVE = 2.0  # seconds

HEADERS_EVENT = ".send_request_headers.started"
BODY_EVENT = ".send_request_body.started"

_NEVER_REACHED = (
    httpx.ConnectError,  # refused, no such name, no TLS
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_FAILED = (TimeoutError, httpx.HTTPError, OSError)

# httpx logs each URL at INFO, and the URLs that read a log carry phone numbers.
logging.getLogger("httpx").setLevel(logging.WARNING)


def create_client(*, timeout: float, max_connections: int) -> httpx.AsyncClient:
    """Create a client that keeps few connections, and those not for long."""
    return httpx.AsyncClient(
        verify=_tls(),
        timeout=timeouts(timeout),
        limits=httpx.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=KEEPALIVE
        ),
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the authorities' certificates once, which takes longer than a request."""
    return httpx.create_ssl_context()


def timeouts(total: float) -> httpx.Timeout:
    """Give the time-outs of a call that may take `total` seconds.

    Those that end before anything is written come well before the end of the whole call: then it is known why.
    """
    early = min(CONNECT_TIMEOUT, total / 3)
    return httpx.Timeout(total, connect=early, pool=early)


async def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109  (httpx's own time-outs need the number, too)
    may_still_send: Callable[[], bool],
    **request: Any,
) -> httpx.Response | Deferred | Unknown:
    """Ask the carrier to send a text; give its answer, or what is known without one."""
    with _told("POST", url) as tell:
        answer = await _post(client, url, timeout=timeout, may_still_send=may_still_send, **request)
        tell(answer)
        return answer


async def _post(
    client: httpx.AsyncClient,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109
    may_still_send: Callable[[], bool],
    **request: Any,
) -> httpx.Response | Deferred | Unknown:
    attempt = _Attempt(may_still_send)
    try:
        attempt.check()
        async with asyncio.timeout(timeout):
            return await client.post(
                url, timeout=timeouts(timeout), follow_redirects=False, extensions={"trace": attempt}, **request
            )
    except _NotStarted:
        return deferred(codes.NOT_STARTED)
    except _NEVER_REACHED as error:
        return deferred(_code_of(error))
    except _FAILED as error:
        if attempt.is_traced and not attempt.may_have_arrived:
            return deferred(codes.NOT_WRITTEN)
        return Unknown(reason=_reason_of(error))


async def get(
    client: httpx.AsyncClient,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109
    **request: Any,
) -> dict[str, Any]:
    """Read a JSON object from the carrier. Raises CarrierUnreadable."""
    try:
        with _told("GET", url) as tell:
            async with asyncio.timeout(timeout):
                response = await client.get(url, timeout=timeouts(timeout), follow_redirects=False, **request)
            tell(response)
    except (*_NEVER_REACHED, *_FAILED) as error:
        raise CarrierUnreadable(f"The carrier did not answer: {_reason_of(error)}", code="no_answer") from error
    content = parse_object(response.content)
    if response.status_code != httpx.codes.OK:
        code = carrier_code(content) or f"http_{response.status_code}"
        meaning = codes.classify(code, http_status=response.status_code)
        raise CarrierUnreadable(
            f"The carrier answered {code}: {meaning.text}",
            code=code,
            http_status=response.status_code,
            retry_after=retry_after(response),
        )
    if content is None:
        raise CarrierUnreadable("The carrier answered with something other than a JSON object")
    return content


@contextmanager
def _told(method: str, url: str) -> Iterator[Callable[[httpx.Response | Deferred | Unknown], None]]:
    """Time a request, for metrics and traces. Only the host is told of the URL: queries hold phone numbers."""
    began = time.monotonic()
    answered = "none"
    with tracing.span(method, "client", method=method, host=_host(url)) as span:

        def tell(answer: httpx.Response | Deferred | Unknown) -> None:
            nonlocal answered
            match answer:
                case httpx.Response():
                    answered = str(answer.status_code)
                    span.set(status=answer.status_code)
                case Deferred():
                    span.set(code=answer.code)
                case Unknown():
                    span.set(code=answer.reason)

        try:
            yield tell
        finally:
            telemetry.CARRIER_SECONDS.labels(method, answered).observe(time.monotonic() - began)


def _host(url: str) -> str | None:
    if not tracing.on():
        return None
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return None


def refusal(response: httpx.Response, *, code: str | None = None) -> Outcome:
    """Give what follows from an answer other than a success; `code` is the carrier's own, where it has one."""
    code = code or f"http_{response.status_code}"
    meaning = codes.classify(code, http_status=response.status_code)
    match meaning.kind:
        case codes.Kind.UNCERTAIN:
            return Unknown(reason=code, retry_after=retry_after(response))
        case codes.Kind.GIVE_UP | codes.Kind.OPT_OUT | codes.Kind.STOP_ABOVE_THRESHOLD:
            return Refused(code=code, reason=meaning.text)
        case _:
            return Deferred(code=code, reason=meaning.text, retry_after=retry_after(response))


def deferred(code: str) -> Deferred:
    """Give the outcome of a request that did not leave."""
    return Deferred(code=code, reason=codes.classify(code).text)


def retry_after(response: httpx.Response) -> float | None:
    """Give the seconds for which the carrier asks to be left alone."""
    return limits.wait_asked_for(response.headers, now=utc_now())


def parse_object(content: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None if it is none."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def carrier_code(content: Mapping[str, Any] | None) -> str | None:
    """Give Twilio's code of an error. Five digits at most: nothing that could be a phone number gets out."""
    code = (content or {}).get("code")
    return str(code) if type(code) is int and 0 < code < 100_000 else None


def text_in(content: Any, *path: str) -> str | None:
    """Give the non-empty string at a path of keys; None if there is none."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) and content else None


class _NotStarted(Exception):
    """The caller may not send any more."""


class _Attempt:
    """One request's way out: asks the guard at the last moment and notes how far the request got."""

    def __init__(self, may_still_send: Callable[[], bool]) -> None:
        self._may_still_send = may_still_send
        #: Whether the transport tells how far it is (one that is no network does not).
        self.is_traced = False
        self.may_have_arrived = False

    def check(self) -> None:
        if not self._may_still_send():
            raise _NotStarted

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.is_traced = True
        if not event.endswith((HEADERS_EVENT, BODY_EVENT)) or info["request"].method == b"CONNECT":  # to a proxy
            return
        # Asked twice. The headers go out first and may have to wait for the socket; what is in them texts nobody.
        self.check()
        if event.endswith(BODY_EVENT):
            self.may_have_arrived = True


def _code_of(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return codes.CONNECT_TIMEOUT
    return codes.POOL_TIMEOUT if isinstance(error, httpx.PoolTimeout) else codes.CONNECT_FAILED


def _reason_of(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout"
    return "connection_lost" if isinstance(error, httpx.TransportError | OSError) else "unreadable_answer"
