"""The one place that talks HTTP with a carrier: an answer, or what is known without one.

Every call ends within its time-out, the connection's own and one over the whole call (a carrier that sends a byte now
and then satisfies every read and never ends). Nothing is ever tried again here: the carriers have no idempotency key.

What a lost request may have done depends on how far it got. The recipient and the message are in the body, so until the
first byte of the body is written nobody can have been texted; from then on nothing is certain but an answer. httpcore
reports how far it is by the `trace` extension (https://www.python-httpx.org/advanced/extensions/#trace), in the task
that writes, with no suspension between the event and the write on a socket that takes it. aiohttp's tracing signals
come earlier (before the connection is chosen) or later (after a chunk was written); hence httpx.
"""

import asyncio
import functools
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from libs.common.carriers import answers, error_codes
from libs.common.carriers.clocks import Meter
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.outcomes import Deferred, Unknown
from libs.common.observability import telemetry, tracing

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

#: Asked once there is a connection and all that remains is to write the request. It may wait; False calls it off.
Ready = Callable[[], Awaitable[bool]]


async def at_once() -> bool:
    """Be ready whenever the connection is."""
    return True


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
    """Return the time-outs of a call that may take `total` seconds.

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
    ready: Ready = at_once,
    meter: Meter | None = None,
    **request: Any,
) -> httpx.Response | Deferred | Unknown:
    """Ask the carrier to send a message; return its answer, or what is known without one."""
    attempt = _Attempt(may_still_send, ready, meter)
    with _instrumented("POST", url, attempt) as record:
        answer = await _post(client, url, timeout=timeout, attempt=attempt, **request)
        record(answer)
        return answer


async def _post(
    client: httpx.AsyncClient,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109
    attempt: "_Attempt",
    **request: Any,
) -> httpx.Response | Deferred | Unknown:
    try:
        attempt.check()
        async with asyncio.timeout(timeout):
            return await client.post(
                url, timeout=timeouts(timeout), follow_redirects=False, extensions={"trace": attempt}, **request
            )
    except _NotStarted:
        return deferred(error_codes.NOT_STARTED)
    except _NEVER_REACHED as error:
        return deferred(_code_of(error))
    except _FAILED as error:
        if attempt.is_traced and not attempt.may_have_arrived:
            return deferred(error_codes.NOT_WRITTEN)
        return Unknown(reason=_reason_of(error))


async def get(
    client: httpx.AsyncClient,
    url: str,
    *,
    own_code: Callable[[httpx.Response], str | None],
    timeout: float,  # noqa: ASYNC109
    ready: Ready = at_once,
    meter: Meter | None = None,
    **request: Any,
) -> dict[str, Any]:
    """Read a JSON object from the carrier. Raise CarrierUnreadable.

    `own_code` gives the code of an error that is the carrier's own, None for any other answer. Only the former has a
    `http_status`: what somebody else answers does not say that there is no such page or message.
    """
    attempt = _Attempt(lambda: True, ready, meter)
    try:
        with _instrumented("GET", url, attempt) as record:
            async with asyncio.timeout(timeout):
                response = await client.get(
                    url,
                    timeout=timeouts(timeout),
                    follow_redirects=False,
                    extensions={"trace": attempt},
                    **request,
                )
            record(response)
    except _NotStarted as error:
        raise CarrierUnreadable("There was no slot for the request in time", code=error_codes.NOT_STARTED) from error
    except (*_NEVER_REACHED, *_FAILED) as error:
        raise CarrierUnreadable(f"The carrier did not answer: {_reason_of(error)}", code="no_answer") from error
    if response.status_code != httpx.codes.OK:
        code = own_code(response)
        known = code or error_codes.gateway(response.status_code)
        raise CarrierUnreadable(
            f"The carrier answered {known}: {error_codes.classify(known, http_status=response.status_code).text}",
            code=known,
            http_status=None if code is None else response.status_code,
            retry_after=answers.retry_after(response),
        )
    content = answers.json_object(response)
    if content is None:
        raise CarrierUnreadable("The carrier answered with something other than a JSON object")
    return content


@contextmanager
def _instrumented(
    method: str, url: str, attempt: "_Attempt"
) -> Iterator[Callable[[httpx.Response | Deferred | Unknown], None]]:
    """Time a request, for metrics and traces. Of the URL only the host is recorded: queries hold phone numbers.

    The answer's `Date` shows the carrier's clock.
    """
    began = time.monotonic()
    answered = "none"
    with tracing.span(method, "client", method=method, host=_host(url)) as span:

        def record(answer: httpx.Response | Deferred | Unknown) -> None:
            nonlocal answered
            match answer:
                case httpx.Response():
                    answered = str(answer.status_code)
                    span.set(status=answer.status_code)
                    attempt.measure(answer)
                case Deferred():
                    span.set(code=answer.code)
                case Unknown():
                    span.set(code=answer.reason)

        try:
            yield record
        finally:
            telemetry.CARRIER_SECONDS.labels(method, answered).observe(time.monotonic() - began)


def _host(url: str) -> str | None:
    if not tracing.on():
        return None
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return None


def deferred(code: str) -> Deferred:
    """Return the outcome of a request that did not leave."""
    return Deferred(code=code, reason=error_codes.classify(code).text)


class _NotStarted(Exception):
    """The caller may not send any more."""


class _Attempt:
    """One request's way out: asks the guards at the last moment and notes how far the request got."""

    def __init__(self, may_still_send: Callable[[], bool], ready: Ready, meter: Meter | None) -> None:
        self._may_still_send = may_still_send
        self._ready = ready
        self._meter = meter
        #: When it began to be written, as far as is known.
        self._sent_at = meter.now() if meter is not None else None
        #: Whether the transport reports how far it is (one that is no network does not).
        self.is_traced = False
        self.may_have_arrived = False

    def check(self) -> None:
        if not self._may_still_send():
            raise _NotStarted

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.is_traced = True
        if not event.endswith((HEADERS_EVENT, BODY_EVENT)) or info["request"].method == b"CONNECT":  # to a proxy
            return
        if event.endswith(HEADERS_EVENT):
            if not await self._ready():
                raise _NotStarted
            if self._meter is not None:
                self._sent_at = self._meter.now()
        # Asked twice. The headers go out first and may have to wait for the socket; they alone send nothing.
        self.check()
        if event.endswith(BODY_EVENT):
            self.may_have_arrived = True

    def measure(self, answer: httpx.Response) -> None:
        """Measure the carrier's clock by its answer."""
        if self._meter is not None and self._sent_at is not None:
            self._meter.note(answer.headers, self._sent_at)


def _code_of(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return error_codes.CONNECT_TIMEOUT
    return error_codes.POOL_TIMEOUT if isinstance(error, httpx.PoolTimeout) else error_codes.CONNECT_FAILED


def _reason_of(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout"
    return "connection_lost" if isinstance(error, httpx.TransportError | OSError) else "unreadable_answer"
