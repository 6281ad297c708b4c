"""A simulator on loopback, and an application that its webhooks reach."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import msgspec
import uvicorn
from litestar import Litestar, Request, Response, post
from litestar.datastructures import State

from libs.simulator.__main__ import create_server
from libs.simulator.config import Config, merged
from libs.simulator.network import Network

FROM = "+13135550000"
ALICE, BOB, CAROL = "+13135550101", "+13135550102", "+13135550103"
TOKEN, ACCOUNT, SECRET = "a-token", "AC" + "1" * 32, "a-secret"
LOG = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

#: Everything at once, and everybody silent.
QUICK: dict[str, Any] = {
    "missive_token": TOKEN,
    "missive_webhook_secret": SECRET,
    "twilio_account_sid": ACCOUNT,
    "twilio_auth_token": SECRET,
    "webhook_backoff": 0.01,
    "plan": {
        "reply": 0,
        "stop": 0,
        "unreachable": 0,
        "invalid": 0,
        "hand_over_delay": [0, 0],
        "delivery_delay": [0, 0],
        "reply_delay": [0, 0],
    },
}


@dataclass(kw_only=True)
class Simulator:
    """A running simulator, and clients for it."""

    url: str
    network: Network
    http: httpx.AsyncClient

    async def missive(self, to: str = ALICE, body: str = "Hello") -> httpx.Response:
        """Send a message through Missive."""
        draft = {
            "send": True,
            "body": body,
            "from_field": {"phone_number": FROM, "type": "twilio"},
            "to_fields": [{"phone_number": to}],
        }
        return await self.http.post("/v1/drafts", json={"drafts": draft}, headers={"Authorization": f"Bearer {TOKEN}"})

    async def message(self, ids: str) -> httpx.Response:
        """Read a message at Missive."""
        return await self.http.get(f"/v1/messages/{ids}", headers={"Authorization": f"Bearer {TOKEN}"})

    async def twilio(self, to: str = ALICE, body: str = "Hello", **more: str) -> httpx.Response:
        """Send a message through Twilio."""
        form = {"To": to, "From": FROM, "Body": body, **more}
        return await self.http.post(LOG, data=form, auth=(ACCOUNT, SECRET))

    async def log(self, uri: str = LOG, **filters: str) -> httpx.Response:
        """Read a page of Twilio's log."""
        return await self.http.get(uri, params=filters or None, auth=(ACCOUNT, SECRET))

    async def logged_bodies(self, **filters: str) -> list[str]:
        """Read all pages of the log; return the bodies."""
        page = (await self.log(**filters)).json()
        bodies = [entry["body"] for entry in page["messages"]]
        while page["next_page_uri"]:
            page = (await self.log(page["next_page_uri"])).json()
            bodies += [entry["body"] for entry in page["messages"]]
        return bodies

    async def control(self, method: str, path: str, content: Any = None) -> Any:
        """Call the control API."""
        response = await self.http.request(method, f"/_simulator{path}", json=content)
        response.raise_for_status()
        return response.json() if response.content else None


@dataclass(kw_only=True)
class Webhook:
    """A webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def content(self) -> Any:
        """What the JSON says."""
        return msgspec.json.decode(self.body)


@dataclass(kw_only=True)
class Application:
    """What the webhooks reach; it answers with the statuses given, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Webhook] = field(default_factory=list)


@asynccontextmanager
async def simulator(**patch: Any) -> AsyncIterator[Simulator]:
    """Run a simulator, quick and silent but for the patch."""
    config = merged(merged(Config(), QUICK), patch)
    server = create_server(config, host="127.0.0.1", port=0)
    async with _served(server) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        app = server.config.app
        assert isinstance(app, Litestar)
        yield Simulator(url=url, network=app.state.network, http=http)


@asynccontextmanager
async def application() -> AsyncIterator[Application]:
    """Run something for the webhooks to reach."""
    running = Application()

    @post("/{path:path}")
    async def receive(request: Request[Any, Any, State]) -> Response[None]:
        running.received.append(Webhook(headers=dict(request.headers), body=await request.body()))
        return Response(None, status_code=running.statuses.pop(0) if running.statuses else 200)

    server = uvicorn.Server(
        uvicorn.Config(Litestar([receive], openapi_config=None, logging_config=None), log_level="warning")
    )
    async with _served(server) as url:
        running.url = url
        yield running


@asynccontextmanager
async def _served(server: uvicorn.Server) -> AsyncIterator[str]:
    """Run a server without its main loop, whose ticks a test would wait for."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.shutdown(sockets=[listener])


async def eventually(is_so: Callable[[], bool], *, within: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
