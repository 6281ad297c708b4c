"""How often somebody may try to sign in: by address and by account, over all processes together.

An attempt is counted before the password is looked at, so that many at once do not slip through. What is kept is a
digest of the address or the account, and goes within a day (`Sessions` and this are pruned at a sign-in).
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Connection

WINDOW = timedelta(minutes=15)
FOR_ACCOUNT = 10  # attempts in a window
FOR_ADDRESS = 50  # attempts in a window: a newsroom may have one address

#: Counts an attempt, in a new window where the last one is over.
COUNT = text("""
INSERT INTO sign_in_attempts AS s (key, attempts, since) VALUES (:key, 1, :now)
ON CONFLICT (key) DO UPDATE SET
    attempts = CASE WHEN s.since <= CAST(:begun AS timestamptz) THEN 1 ELSE s.attempts + 1 END,
    since = CASE WHEN s.since <= CAST(:begun AS timestamptz) THEN excluded.since ELSE s.since END
RETURNING attempts, since
""")

#: Forgets the attempts of an account whose owner has signed in.
FORGET = text("DELETE FROM sign_in_attempts WHERE key = :key")

#: Forgets windows that are over.
PRUNE = text("DELETE FROM sign_in_attempts WHERE since <= :begun")


async def take(connection: Connection, *, address: str, account: str, now: datetime) -> timedelta | None:
    """Count an attempt; return how long to wait where there were too many, None where it may go on."""
    waits = []
    for key, most in ((_key("address", address), FOR_ADDRESS), (_key("account", account), FOR_ACCOUNT)):
        row = (await connection.execute(COUNT, {"key": key, "now": now, "begun": now - WINDOW})).one()
        if row.attempts > most:
            waits.append(row.since + WINDOW - now)
    return max(waits) if waits else None


async def forget(connection: Connection, *, account: str) -> None:
    """Forget the attempts for an account: its owner has signed in."""
    await connection.execute(FORGET, {"key": _key("account", account)})


async def prune(connection: Connection, now: datetime) -> None:
    """Forget windows that are over."""
    await connection.execute(PRUNE, {"begun": now - WINDOW})


def _key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}:{value}".encode()).digest()
