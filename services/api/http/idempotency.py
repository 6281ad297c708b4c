"""`Idempotency-Key`: a request that is sent again is answered again and carried out once.

The key's row is written first, in the transaction of the effect. A second request with the key waits on that row: if
the first commits it gets its answer, if the first fails it takes its place. Only what succeeded is kept.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request, Response

from libs.common import database
from libs.common.database import Connection, Engine
from libs.common.errors import ConcurrencyError, Invalid
from services.api.http import contract, correlation, idempotency_keys, transactions
from services.api.http.errors import KeyReused

HEADER = "Idempotency-Key"
LONGEST = 255  # characters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer, the first or the same again."""

    content: T
    status: int

    def response(self, headers: dict[str, str] | None = None) -> Response[T]:
        """Return it as a response."""
        return Response(self.content, status_code=self.status, headers=headers)


async def once(
    engine: Engine,
    request: Request[Any, Any, Any],
    work: Callable[[Connection], Awaitable[T]],
    *,
    answer: type[T],
    status: int = 200,
    digest: bytes | None = None,
) -> Answer[T]:
    """Do `work` in a transaction, or give the answer that this request's key had before.

    `digest` stands for the body where it was not read into memory.
    """
    assert contract.of(request.route_handler).idempotent, "the handler does not tell that it takes a key"
    key = _key(request)
    cause = correlation.cause_of(request)
    if key is None:
        return Answer(await transactions.retrying(engine, cause, work), status)
    asked = await _asked(request, digest)

    async def keyed(connection: Connection) -> Answer[T]:
        if not await idempotency_keys.take(connection, key, asked):
            found = await _found(connection, key, asked, answer)
            if found is None:  # forgotten just now
                raise ConcurrencyError
            return found
        content = await work(connection)
        await idempotency_keys.keep(connection, key, status, msgspec.to_builtins(content))
        return Answer(content, status)

    return await transactions.retrying(engine, cause, keyed)


async def recall(
    engine: Engine, request: Request[Any, Any, Any], *, answer: type[T], digest: bytes | None = None
) -> Answer[T] | None:
    """Return the answer that this request's key had before, None if it is the first: before work that takes long."""
    key = _key(request)
    if key is None:
        return None
    async with database.transaction(engine) as connection:
        return await _found(connection, key, await _asked(request, digest), answer)


async def _asked(request: Request[Any, Any, Any], digest: bytes | None) -> bytes:
    """Return a digest of what a request asks for."""
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    # Whoever chose the same key with another API key meant something else, and is not to be given this one's answer.
    asked.update(hashlib.sha256(request.headers.get("authorization", "").partition(" ")[2].strip().encode()).digest())
    asked.update(digest if digest is not None else await request.body())
    return asked.digest()


async def _found(connection: Connection, key: str, asked: bytes, answer: type[T]) -> Answer[T] | None:
    """Return the answer that is kept under a key. Raise KeyReused if it is another request's."""
    kept = await idempotency_keys.find(connection, key)
    if kept is None:
        return None
    if kept.request != asked:
        raise KeyReused
    return Answer(msgspec.convert(kept.body, answer), kept.status)


def _key(request: Request[Any, Any, Any]) -> str | None:
    key = request.headers.get(HEADER.lower())
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        raise Invalid(HEADER, f"must be 1 to {LONGEST} printable ASCII characters")
    return str(key)
