"""The texts of a broadcast: what an answer, a reply, an opt-out or a lost worker does to them.

An answer belongs to the attempt that asked (`attempts` names it), not to the batch: an answer is a fact, and is taken
even if the batch has been lost to another worker, as long as no newer attempt has begun.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
SELECT id, broadcast_id, state IN ('pending', 'claimed') AS is_unsent FROM outgoing_messages
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

#: Locks all texts of a broadcast that have not left, a bounded number at a time.
UNSENT_OF = """
SELECT id FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state IN ('pending', 'claimed') ORDER BY id LIMIT %(limit)s
FOR NO KEY UPDATE
"""

#: Locks the second texts that must not leave, with the reason: who opted out, who replied since the first text's
#: attempt began, whose first text the carrier refused for good. `texts` narrows it down; null looks at all.
UNWANTED_SECONDS = """
SELECT m.id, CASE
    WHEN EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number) THEN 'opted_out'
    WHEN EXISTS (SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id)
        THEN 'replied'
    WHEN EXISTS (SELECT FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
                 AND f.contact_id = m.contact_id AND NOT f.is_second AND f.state = 'refused') THEN 'first_refused'
    END AS reason
FROM outgoing_messages m
WHERE m.broadcast_id = %(broadcast_id)s AND m.is_second AND m.state IN ('pending', 'claimed')
  AND (%(texts)s::bigint[] IS NULL OR m.id = ANY(%(texts)s::bigint[]))
  AND (EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)
       OR EXISTS (SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id)
       OR EXISTS (SELECT FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
                  AND f.contact_id = m.contact_id AND NOT f.is_second AND f.state = 'refused'))
ORDER BY m.id LIMIT %(limit)s FOR NO KEY UPDATE OF m
"""

#: Locks the first texts of those who opted out after the draw.
UNWANTED_FIRSTS = """
SELECT m.id, 'opted_out' AS reason FROM outgoing_messages m
WHERE m.broadcast_id = %(broadcast_id)s AND NOT m.is_second AND m.state IN ('pending', 'claimed')
  AND (%(texts)s::bigint[] IS NULL OR m.id = ANY(%(texts)s::bigint[]))
  AND EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)
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
    """Skip what must not leave: who opted out, and for second messages who replied or never got the first one.

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
    """Skip every text of a broadcast that has not left; give how many."""
    total = 0
    while True:
        cursor = await connection.execute(UNSENT_OF, {"broadcast_id": broadcast_id, "limit": CHUNK})
        texts = [row["id"] for row in await cursor.fetchall()]
        await skip(connection, broadcast_id, texts, reason, now)
        total += len(texts)
        if len(texts) < CHUNK:
            return total


async def ledger(connection: Connection, broadcast_id: int, *, is_second: bool | None = None) -> e.Ledger:
    """Count what became of a broadcast's texts, or of one phase's."""
    cursor = await connection.execute(LEDGER, {"broadcast_id": broadcast_id})
    planned = accepted = uncertain = 0
    refused: dict[str, int] = {}
    skipped: dict[str, int] = {}
    for row in await cursor.fetchall():
        if is_second is not None and row["is_second"] is not is_second:
            continue
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


def adds_up(ledger: e.Ledger) -> bool:
    """Tell whether every planned text has ended in exactly one way."""
    ended = ledger.accepted + sum(ledger.refused.values()) + sum(ledger.skipped.values()) + ledger.uncertain
    return ended == ledger.planned


def batch_stream(broadcast_id: int, batch_id: UUID) -> str:
    """Name the stream of one batch."""
    return store.stream(broadcast_id, f"batch-{batch_id}")
