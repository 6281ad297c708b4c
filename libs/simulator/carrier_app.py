"""Where the carriers' requests come in: raw ASGI, since a broken connection is part of what is simulated.

Each request is logged on arrival, and has ended when its answer is on its way, or when the client leaves before. An
answer that is to be cut starts with the length of more than follows; the server then closes the connection.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from typing import Any, Protocol
from urllib.parse import unquote

from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from libs.simulator.clock import http_date
from libs.simulator.network import Network
from libs.simulator.request_log import LoggedRequest
from libs.simulator.requests import Answer, Call

logger = logging.getLogger(__name__)

MISSING = 512  # bytes announced and never sent


class Carrier(Protocol):
    """A module that speaks for a carrier."""

    def kind_of(self, method: str, path: str) -> str:
        """Name a request."""
        ...

    def answer(self, network: Network, call: Call, *, concurrent: int) -> Answer:
        """Answer a request."""
        ...


class CarrierApp:
    """One carrier's side of the simulator, as an ASGI application."""

    def __init__(self, network: Network, name: str, carrier: Carrier) -> None:
        self._network = network
        self._name = name
        self._carrier = carrier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, and its answer out."""
        if scope["type"] != ScopeType.HTTP:
            return
        method, path = scope["method"], _path(scope)
        requests, clock = self._network.request_log, self._network.clock
        kind = self._carrier.kind_of(method, path)
        logged = requests.begin(carrier=self._name, kind=kind, method=method, path=path, at=clock.now())
        try:
            answer = await self._answer(scope, receive, logged, path)
        except Exception:
            logger.exception("The simulator itself failed at a request to %s", self._name)
            raise
        finally:
            requests.end(logged, carrier=self._name, at=clock.now())
        if answer is not None:
            await _say(answer, send, date=http_date(self._network.clocks[self._name].read(clock.now())))

    async def _answer(self, scope: Any, receive: Receive, logged: LoggedRequest, path: str) -> Answer | None:
        body = await _read(receive)
        if body is None:
            # Its recipient stood in the body: it is no message, whatever its path says.
            logged.kind = "abandoned"
            return None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        call = Call(method=logged.method, path=path, query=query, headers=headers, body=body)
        answer = self._carrier.answer(self._network, call, concurrent=logged.concurrent)
        logged.to, logged.code = answer.to, answer.code
        logged.fault, logged.violation = answer.fault, answer.is_violation
        if answer.delay and await _leaves(receive, within=answer.delay):
            return None
        if not answer.is_cut:
            logged.status = answer.status
        return answer


def _path(scope: Any) -> str:
    """Return the whole path; Litestar takes the mount's part off `path`."""
    return unquote(scope["raw_path"].decode("latin-1").partition("?")[0])


async def _read(receive: Receive) -> bytes | None:
    """Read the body; None if the client leaves before it is whole."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def _leaves(receive: Receive, *, within: float) -> bool:
    """Wait; return whether the client went away meanwhile."""
    waiting: Awaitable[Any] = receive()
    with contextlib.suppress(TimeoutError):
        message = await asyncio.wait_for(waiting, within)
        return bool(message["type"] == "http.disconnect")
    return False


async def _say(answer: Answer, send: Send, *, date: str) -> None:
    body = answer.encoded()
    length = len(body) + (MISSING if answer.is_cut else 0)
    headers = {"date": date, "content-type": answer.content_type, "content-length": str(length), **answer.headers}
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send(
        {
            "type": "http.response.body",
            "body": body[: len(body) // 2] if answer.is_cut else body,
            "more_body": answer.is_cut,
        }
    )


class IgnoreCutResponses(logging.Filter):
    """Keeps uvicorn from reporting connections that were cut on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass but the remark on an answer that is not whole."""
        return "without completing response" not in str(record.msg)
