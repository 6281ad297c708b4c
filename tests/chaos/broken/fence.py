"""A sender that goes on with the batch that it lost.

The fence alone is missed by nobody: START takes what is still claimed, so that of two workers with one batch each
starts what the other has not. That alone is missed by nobody either, since the worker with the older fence starts
nothing more. Either is enough (`test_protocol_can_fail.py`), so both are taken away: no statement names the fence, and
START takes what the worker has in mind since it took the batch, whatever has become of it. Leases stay.
"""

from typing import Any
from uuid import UUID

from libs.common.database import Connection
from services.sender import batches
from tests.chaos.broken import without

FENCE = " AND fence = %(fence)s"
FENCE_OF_BATCH = " AND b.fence = %(fence)s"
STILL_CLAIMED = "m.claimed_by = %(batch_id)s AND m.state = 'claimed'"
IN_MIND = "m.id = ANY(%(in_mind)s)"
#: A text that was answered is no batch's any more, and could not be stored as started.
STARTS = "SET state = 'started',"
STARTS_ANEW = "SET state = 'started', claimed_by = %(batch_id)s,"
CLAIMED = "SELECT id FROM outgoing_messages WHERE claimed_by = %s AND state = 'claimed'"


def take_away() -> None:
    """Take the protection away."""
    forget_the_fence()
    start_what_is_in_mind()


def forget_the_fence() -> None:
    """Have statements change a batch whoever has it."""
    batches.RENEW = without(batches.RENEW, FENCE)
    batches.CLOSE = without(batches.CLOSE, FENCE)
    batches.CLAIM = without(batches.CLAIM, FENCE_OF_BATCH)
    batches.START = without(batches.START, FENCE_OF_BATCH)


def start_what_is_in_mind() -> None:
    """Have workers start what they once claimed, each text once."""
    in_mind: dict[tuple[UUID, int], set[int]] = {}
    claim, start, names = batches.claim, batches.start, batches._names

    async def claim_and_keep_in_mind(connection: Connection, batch: batches.Batch, **how: Any) -> int:
        held = await claim(connection, batch, **how)
        cursor = await connection.execute(CLAIMED, [batch.id])
        in_mind[batch.id, batch.fence] = {row["id"] for row in await cursor.fetchall()}
        return held

    async def start_and_strike_off(connection: Connection, batch: batches.Batch, **how: Any) -> list[batches.Started]:
        started = await start(connection, batch, **how)
        in_mind[batch.id, batch.fence] -= {item.attempt.text for item in started}
        return started

    for ours, theirs in (STILL_CLAIMED, IN_MIND), (STARTS, STARTS_ANEW):
        assert ours in batches.START, "the statement is another one by now"
        batches.START = batches.START.replace(ours, theirs)
    batches.claim = claim_and_keep_in_mind
    batches.start = start_and_strike_off
    batches._names = lambda batch: {**names(batch), "in_mind": list(in_mind.get((batch.id, batch.fence), ()))}
