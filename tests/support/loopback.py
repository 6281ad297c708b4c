"""A server on this machine that behaves as a carrier does on its worst days, at the level of bytes."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Self


@dataclass
class Received:
    """What came over one connection since the last answer."""

    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: What the server does with the connection once it has the headers.
Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    received: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_body(self) -> None:
        length = int(self.received.headers.get("content-length", "0"))
        while len(self.received.body) < length:
            part = await self.reader.read(length - len(self.received.body))
            if not part:
                raise ConnectionResetError
            self.received.body += part

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()


def answer(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer with bytes as they are, and with anything else as JSON that is declared as such; it tells the time."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    declared = {} if isinstance(body, bytes) else {"Content-Type": "application/json; charset=utf-8"}
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in {**declared, **(headers or {})}.items()]

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        date = [] if headers and "Date" in headers else [f"Date: {formatdate(usegmt=True)}"]
        await exchange.write("\r\n".join([*lines, *date, "", ""]).encode() + content)

    return behave


async def cut_before_reading(exchange: Exchange) -> None:
    exchange.cut()


async def cut_after_reading(exchange: Exchange) -> None:
    await exchange.read_body()
    exchange.cut()


async def close_after_reading(exchange: Exchange) -> None:
    await exchange.read_body()
    exchange.writer.close()


async def cut_within_answer(exchange: Exchange) -> None:
    await exchange.read_body()
    await exchange.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"sid": ')
    exchange.writer.close()


async def answer_gibberish(exchange: Exchange) -> None:
    await exchange.read_body()
    await exchange.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")


async def never_answer(exchange: Exchange) -> None:
    await exchange.read_body()
    await asyncio.sleep(3600)


async def drip(exchange: Exchange) -> None:
    """Keep every read alive and never end."""
    await exchange.read_body()
    await exchange.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await exchange.write(b" ")
        await asyncio.sleep(0.01)


class Loopback:
    """The server. It behaves by `behaviours` in turn, and by the last of them from then on."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.bytes_received = 0
        self.received: list[Received] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.bytes_received += len(head)
                received = _parse(head)
                self.received.append(received)
                behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                await behave(Exchange(received, reader, writer))


def _parse(head: bytes) -> Received:
    first, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    return Received(method, target, headers)
