"""What must hold at every moment, and at the end: the tables against what the carrier has."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.protocol.carrier import Carrier
from tests.support.protocol.stage import Stage


class Violation(AssertionError):
    """Something happened that must never happen."""


async def so_far(stage: Stage, carrier: Carrier, words: tuple[str, str], broadcast_id: int) -> str:
    """Check what must hold at every moment; return the state that the broadcast is in."""
    rows = await stage.rows(
        "SELECT m.recipient_phone_number AS number, m.is_second, m.state, b.state AS broadcast"
        " FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id WHERE b.id = %s",
        broadcast_id,
    )
    taken = Counter((entry.to, entry.body) for entry in carrier.taken)
    if not taken <= _count(rows, words):
        raise Violation("somebody got a message twice")
    if not taken <= _count(rows, words, "started", "uncertain", "accepted"):
        raise Violation("a message that the carrier has counts as not sent")
    if not _count(rows, words, "accepted") <= taken:
        raise Violation("a message counts as accepted that the carrier does not have")
    return str(rows[0]["broadcast"])


async def people(stage: Stage, opted_out: Iterable[str], told: Mapping[str, int]) -> None:
    """Check that whoever said no is on record, and that each reply counts for the broadcast that it is to."""
    recorded = {row["number"] for row in await stage.rows("SELECT phone_number AS number FROM opt_outs")}
    if not recorded.issuperset(opted_out):
        raise Violation("somebody who said no is not on record")
    replies = await stage.rows("SELECT provider_id AS reply, broadcast_id FROM replies")
    if any(told.get(row["reply"], row["broadcast_id"]) != row["broadcast_id"] for row in replies):
        raise Violation("a reply counts for another broadcast")


async def at_the_end(stage: Stage, carrier: Carrier, words: tuple[str, str], broadcast_id: int) -> None:
    """Check that every message has an end, each accepted one an entry of its own, and that the ledger says so."""
    rows = await stage.rows(
        "SELECT m.id, m.recipient_phone_number AS number, m.is_second, m.state, s.twilio_id"
        " FROM outgoing_messages m LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id"
        " WHERE m.broadcast_id = %s",
        broadcast_id,
    )
    if any(row["state"] not in ("accepted", "refused", "skipped") for row in rows):
        raise Violation("a message has no end")
    if _count(rows, words, "accepted") != Counter((entry.to, entry.body) for entry in carrier.taken):
        raise Violation("what is accepted is not what the carrier has")
    entries = {entry.sid: entry for entry in carrier.taken}
    for row in rows:
        if row["state"] == "accepted":
            entry = entries.get(row["twilio_id"])
            if entry is None or (entry.to, entry.body) != (row["number"], words[row["is_second"]]):
                raise Violation("an accepted message has no entry of the log that is its own")
    completed = await stage.rows("SELECT data FROM events WHERE type = 'BroadcastCompleted'")
    if len(completed) != 1:
        raise Violation("the ledger was not closed once")
    ledger = completed[0]["data"]["ledger"]
    told = Counter(
        accepted=ledger["accepted"], refused=sum(ledger["refused"].values()), skipped=sum(ledger["skipped"].values())
    )
    if (ledger["planned"], ledger["uncertain"], +told) != (len(rows), 0, +Counter(row["state"] for row in rows)):
        raise Violation("the ledger does not tell what happened")


def _count(rows: list[dict[str, Any]], words: tuple[str, str], *states: str) -> Counter[tuple[str, str]]:
    """Count messages as their recipients tell them apart: by number and words."""
    return Counter((row["number"], words[row["is_second"]]) for row in rows if not states or row["state"] in states)
