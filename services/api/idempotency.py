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
from psycopg.types.json import Jsonb

from libs.common.database import Connection, Pool
from libs.common.errors import ConcurrencyError, Invalid
from services.api import transactions
from services.api.problems import KeyReused

HEADER = "Idempotency-Key"
LONGEST = 255  # characters

#: Takes a key; no row where it was taken. Waits for a transaction that is just taking it.
TAKE = """
INSERT INTO idempotency_keys (key, request, status, body) VALUES (%(key)s, %(request)s, 0, 'null')
ON CONFLICT DO NOTHING RETURNING key
"""

#: What was asked and answered under a key.
FIND = "SELECT request, status, body FROM idempotency_keys WHERE key = %(key)s"

#: Keeps the answer.
KEEP = "UPDATE idempotency_keys SET status = %(status)s, body = %(body)s WHERE key = %(key)s"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer, the first or the same again."""

    content: T
    status: int

    def response(self, headers: dict[str, str] | None = None) -> Response[T]:
        """Give it as a response."""
        return Response(self.content, status_code=self.status, headers=headers)


async def once(
    pool: Pool,
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
    key = _key(request)
    if key is None:
        return Answer(await transactions.retrying(pool, work), status)
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    # Whoever chose the same key with another API key meant something else, and is not to be given this one's answer.
    asked.update(hashlib.sha256(request.headers.get("authorization", "").partition(" ")[2].strip().encode()).digest())
    asked.update(digest if digest is not None else await request.body())

    async def keyed(connection: Connection) -> Answer[T]:
        taken = await connection.execute(TAKE, {"key": key, "request": asked.digest()})
        if await taken.fetchone() is None:
            row = await (await connection.execute(FIND, {"key": key})).fetchone()
            if row is None:  # forgotten just now
                raise ConcurrencyError
            if bytes(row["request"]) != asked.digest():
                raise KeyReused
            return Answer(msgspec.convert(row["body"], answer), row["status"])
        content = await work(connection)
        await connection.execute(KEEP, {"key": key, "status": status, "body": Jsonb(msgspec.to_builtins(content))})
        return Answer(content, status)

    return await transactions.retrying(pool, keyed)


def _key(request: Request[Any, Any, Any]) -> str | None:
    key = request.headers.get(HEADER.lower())
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        raise Invalid(HEADER, f"must be 1 to {LONGEST} printable ASCII characters")
    return str(key)
