"""The texts of a broadcast: what an answer, a reply, an opt-out or a lost worker does to them.

An answer belongs to the attempt that asked (`attempts` names it), not to the batch: an answer is a fact, and is taken
even if the batch has been lost to another worker, as long as no newer attempt has begun.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common import events as e
from libs.common import lifecycle, store
from libs.common.database import Connection

#: Locks a text whose attempt is the newest and has not been answered.
ANSWERABLE = """
SELECT id, contact_id, is_second, failures, state FROM outgoing_messages
WHERE id = %(text)s AND attempts = %(attempt)s AND state = ANY(%(states)s) FOR NO KEY UPDATE
"""

#: Locks, in one order for all who do so, the texts of a number that have not left, or that may be given back: one that
#: came back and was started again before this commits would be started by a statement that does not see the opt-out.
OPEN_TO = """
SELECT id, broadcast_id, is_second, state IN ('pending', 'claimed') AS is_unsent FROM outgoing_messages
WHERE recipient_phone_number = %(phone_number)s AND state IN ('pending', 'claimed', 'started', 'uncertain')
ORDER BY id FOR NO KEY UPDATE
"""

#: Locks the second text of one recipient in the same way.
OPEN_SECOND = """
SELECT id, state IN ('pending', 'claimed') AS is_unsent FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND contact_id = %(contact_id)s AND is_second
  AND state IN ('pending', 'claimed', 'started', 'uncertain')
FOR NO KEY UPDATE
"""

#: Locks the texts of a broadcast that batches have claimed: a few, however large it is.
CLAIMED_OF = """
SELECT id FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state = 'claimed' ORDER BY id FOR NO KEY UPDATE
"""

#: Which texts, as `m`, may be claimed, and in what order: that of the index of what is pending, whose columns are a
#: range here. Were they equal to something, the primary key would give that order as well, and seem as cheap, past all
#: that has left; so would the table itself without the order.
CLAIMABLE = """
(m.broadcast_id, m.is_second) >= (%(broadcast_id)s, %(is_second)s)
AND (m.broadcast_id, m.is_second) <= (%(broadcast_id)s, %(is_second)s)
AND m.state = 'pending' AND m.not_before <= %(now)s
"""
CLAIM_ORDER = "m.broadcast_id, m.is_second, m.id"

#: Locks the texts of a broadcast that nobody has claimed, a bounded number at a time, in the order of the index of what
#: is pending. Those that were skipped just now are still in that index: each call begins behind the last one.
PENDING_OF = """
SELECT id, is_second FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state = 'pending' AND (is_second, id) > (%(is_second)s, %(after)s)
ORDER BY is_second, id LIMIT %(limit)s FOR NO KEY UPDATE
"""

#: Locks the second texts that must not leave, with the reason: who opted out, who was erased, who replied since the
#: first text's attempt began, whose first text the carrier refused for good, or was skipped: for the same reason then.
#: `texts` narrows it down; null looks at all.
UNWANTED_SECONDS = """
SELECT m.id, CASE
    WHEN EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number) THEN 'opted_out'
    WHEN EXISTS (SELECT FROM contacts c WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL) THEN 'erased'
    WHEN EXISTS (SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id)
        THEN 'replied'
    WHEN EXISTS (SELECT FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
                 AND f.contact_id = m.contact_id AND NOT f.is_second AND f.state = 'refused') THEN 'first_refused'
    ELSE (SELECT f.skip_reason FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
          AND f.contact_id = m.contact_id AND NOT f.is_second)
    END AS reason
FROM outgoing_messages m
WHERE m.broadcast_id = %(broadcast_id)s AND m.is_second AND m.state IN ('pending', 'claimed')
  AND (%(texts)s::bigint[] IS NULL OR m.id = ANY(%(texts)s::bigint[]))
  AND (EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)
       OR EXISTS (SELECT FROM contacts c WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL)
       OR EXISTS (SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id)
       OR EXISTS (SELECT FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
                  AND f.contact_id = m.contact_id AND NOT f.is_second AND f.state IN ('refused', 'skipped')))
ORDER BY m.id LIMIT %(limit)s FOR NO KEY UPDATE OF m
"""

#: Locks the first texts of those who opted out, or were erased, after the draw.
UNWANTED_FIRSTS = """
SELECT m.id, CASE
    WHEN EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number) THEN 'opted_out'
    ELSE 'erased' END AS reason
FROM outgoing_messages m
WHERE m.broadcast_id = %(broadcast_id)s AND NOT m.is_second AND m.state IN ('pending', 'claimed')
  AND (%(texts)s::bigint[] IS NULL OR m.id = ANY(%(texts)s::bigint[]))
  AND (EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)
       OR EXISTS (SELECT FROM contacts c WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL))
ORDER BY m.id LIMIT %(limit)s FOR NO KEY UPDATE OF m
"""

#: Locks texts whose request may have left so long ago that no worker can still be waiting for the answer.
LOST = """
SELECT id, broadcast_id FROM outgoing_messages
WHERE state = 'started' AND attempt_started_at < %(before)s
ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""

#: What became of a broadcast's texts.
LEDGER = """
SELECT m.is_second, m.state, coalesce(m.skip_reason, s.twilio_error_code) AS why, count(*) AS texts
FROM outgoing_messages m
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id AND s.outcome = 'refused'
WHERE m.broadcast_id = %(broadcast_id)s
GROUP BY 1, 2, 3
"""

#: Texts that one event names at the most.
CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to send a text; its answer belongs to it alone."""

    text: int
    broadcast_id: int
    #: Counts the text's attempts.
    number: int
    #: The batch that made it: its answers go to the batch's stream, so that batches do not wait for each other.
    batch_id: UUID
    to: str


async def answered(
    connection: Connection, attempt: Attempt, event: e.TextAccepted | e.TextRefused | e.TextReturned, now: datetime
) -> bool:
    """Record the carrier's answer to an attempt; False if a newer attempt has begun or another answer stands.

    An acceptance counts even if the text was given back meanwhile: better known than sent again.
    """
    states = ["started", "uncertain"]
    if isinstance(event, e.TextAccepted):
        states += ["pending", "claimed", "skipped"]
    cursor = await connection.execute(ANSWERABLE, {"text": attempt.text, "attempt": attempt.number, "states": states})
    if await cursor.fetchone() is None:
        return False
    await lifecycle.note(connection, batch_stream(attempt.broadcast_id, attempt.batch_id), [event], now)
    return True


async def unanswered(connection: Connection, attempt: Attempt, reason: str, now: datetime) -> bool:
    """Record that an attempt got no answer: its text is uncertain, and is not sent again until it is settled."""
    cursor = await connection.execute(
        ANSWERABLE, {"text": attempt.text, "attempt": attempt.number, "states": ["started"]}
    )
    if await cursor.fetchone() is None:
        return False
    event = e.TextsUncertain(broadcast_id=attempt.broadcast_id, texts=(attempt.text,), reason=reason)
    stream = batch_stream(attempt.broadcast_id, attempt.batch_id)
    await lifecycle.note(connection, stream, [event], now, publish=True)
    return True


async def give_up_waiting(connection: Connection, before: datetime, now: datetime) -> int:
    """Make the texts that were started before `before` and never answered uncertain: their worker died."""
    cursor = await connection.execute(LOST, {"before": before, "limit": CHUNK})
    lost: dict[int, list[int]] = {}
    for row in await cursor.fetchall():
        lost.setdefault(row["broadcast_id"], []).append(row["id"])
    for broadcast_id, texts in lost.items():
        event = e.TextsUncertain(broadcast_id=broadcast_id, texts=tuple(texts), reason="worker_lost")
        await lifecycle.note(connection, store.stream(broadcast_id, "texts"), [event], now, publish=True)
    return sum(map(len, lost.values()))


async def skip(connection: Connection, broadcast_id: int, texts: Sequence[int], reason: str, now: datetime) -> None:
    """Record that texts, locked by the caller, will never be sent."""
    for start in range(0, len(texts), CHUNK):
        event = e.TextsSkipped(broadcast_id=broadcast_id, texts=tuple(texts[start : start + CHUNK]), reason=reason)
        await lifecycle.note(connection, store.stream(broadcast_id, "texts"), [event], now)


async def skip_unwanted(
    connection: Connection,
    broadcast_id: int,
    now: datetime,
    *,
    is_second: bool,
    texts: Sequence[int] | None = None,
) -> int:
    """Skip what must not leave: who opted out or was erased, and for second messages who replied or got no first one.

    One query finds them, a bounded number at a time; `texts` narrows it down to those of a batch. Gives how many.
    """
    query = UNWANTED_SECONDS if is_second else UNWANTED_FIRSTS
    narrowed = {"broadcast_id": broadcast_id, "texts": None if texts is None else list(texts), "limit": CHUNK}
    total = 0
    while True:
        rows = await (await connection.execute(query, narrowed)).fetchall()
        by_reason: dict[str, list[int]] = {}
        for row in rows:
            by_reason.setdefault(row["reason"], []).append(row["id"])
        for reason, unwanted in by_reason.items():
            await skip(connection, broadcast_id, unwanted, reason, now)
        total += len(rows)
        if len(rows) < CHUNK:
            return total


async def skip_unsent(connection: Connection, broadcast_id: int, reason: str, now: datetime) -> int:
    """Skip every text of a broadcast, which the caller has locked, that has not left; give how many.

    What is claimed comes first: a batch that closes meanwhile gives its texts back, and nobody claims more.
    """
    cursor = await connection.execute(CLAIMED_OF, {"broadcast_id": broadcast_id})
    claimed = [row["id"] for row in await cursor.fetchall()]
    await skip(connection, broadcast_id, claimed, reason, now)
    total = len(claimed)
    is_second, after = False, 0
    while True:
        cursor = await connection.execute(
            PENDING_OF, {"broadcast_id": broadcast_id, "is_second": is_second, "after": after, "limit": CHUNK}
        )
        rows = await cursor.fetchall()
        await skip(connection, broadcast_id, [row["id"] for row in rows], reason, now)
        total += len(rows)
        if len(rows) < CHUNK:
            return total
        is_second, after = rows[-1]["is_second"], rows[-1]["id"]


async def ledger(connection: Connection, broadcast_id: int) -> e.Ledger:
    """Count what became of a broadcast's texts."""
    total, _, _ = await ledgers(connection, broadcast_id)
    return total


async def ledgers(connection: Connection, broadcast_id: int) -> tuple[e.Ledger, e.Ledger, e.Ledger]:
    """Count what became of a broadcast's texts: of all, of the first, and of the second ones."""
    rows = await (await connection.execute(LEDGER, {"broadcast_id": broadcast_id})).fetchall()
    return (
        _sum(rows),
        _sum([row for row in rows if not row["is_second"]]),
        _sum([row for row in rows if row["is_second"]]),
    )


def _sum(rows: Sequence[Mapping[str, Any]]) -> e.Ledger:
    planned = accepted = uncertain = 0
    refused: dict[str, int] = {}
    skipped: dict[str, int] = {}
    for row in rows:
        planned += row["texts"]
        match row["state"]:
            case "accepted":
                accepted += row["texts"]
            case "refused":
                refused[row["why"]] = refused.get(row["why"], 0) + row["texts"]
            case "skipped":
                skipped[row["why"]] = skipped.get(row["why"], 0) + row["texts"]
            case "uncertain":
                uncertain += row["texts"]
            case _:
                pass  # not decided yet: the sum is less than planned
    return e.Ledger(planned=planned, accepted=accepted, refused=refused, skipped=skipped, uncertain=uncertain)


def undecided(ledger: e.Ledger) -> int:
    """Give how many planned texts have not ended: those that may still leave, or whose answer is awaited."""
    ended = ledger.accepted + sum(ledger.refused.values()) + sum(ledger.skipped.values()) + ledger.uncertain
    return ledger.planned - ended


def adds_up(ledger: e.Ledger) -> bool:
    """Tell whether every planned text has ended in exactly one way."""
    return undecided(ledger) == 0


def batch_stream(broadcast_id: int, batch_id: UUID) -> str:
    """Name the stream of one batch."""
    return store.stream(broadcast_id, f"batch-{batch_id}")
