"""The table of idempotency keys: what was asked under a key, and what was answered."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Connection, first_row

#: Takes a key; no row where it was taken. Waits for a transaction that is just taking it.
TAKE = text("""
INSERT INTO idempotency_keys (key, request, status, body) VALUES (:key, :request, 0, 'null')
ON CONFLICT DO NOTHING RETURNING key
""")

#: What was asked and answered under a key.
FIND = text("SELECT request, status, body FROM idempotency_keys WHERE key = :key").columns(body=JSONB)

#: Keeps the answer.
KEEP = text("UPDATE idempotency_keys SET status = :status, body = :body WHERE key = :key").bindparams(
    bindparam("body", type_=JSONB)
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was asked under a key, as a digest, and what was answered."""

    request: bytes
    status: int
    #: The answer as JSON holds it.
    body: Any


async def take(connection: Connection, key: str, request: bytes) -> bool:
    """Take a key for a request; False if it was taken before. Waits for a transaction that is just taking it."""
    cursor = await connection.execute(TAKE, {"key": key, "request": request})
    return cursor.first() is not None


async def find(connection: Connection, key: str) -> Kept | None:
    """Return what is kept under a key."""
    return first_row(await connection.execute(FIND, {"key": key}), Kept)


async def keep(connection: Connection, key: str, status: int, body: Any) -> None:
    """Keep the answer to the request that has taken a key."""
    await connection.execute(KEEP, {"key": key, "status": status, "body": body})
