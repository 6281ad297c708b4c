"""A sender that goes on with the batch that it lost.

The fence alone is missed by nobody: START takes what is still claimed, so that of two workers with one batch each
starts what the other has not. That alone is missed by nobody either, since the worker with the older fence starts
nothing more. Either is enough (`test_protocol_can_fail.py`), so both are taken away: no statement names the fence, and
START takes what the worker has in mind since it took the batch, whatever has become of it. Leases stay.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Connection
from services.sender import batches
from tests.chaos.broken import without
from tests.support.statements import replaced

FENCE = " AND fence = :fence"
FENCE_OF_BATCH = " AND b.fence = :fence"
STILL_CLAIMED = "m.claimed_by = :batch_id AND m.state = 'claimed'"
IN_MIND = "m.id = ANY(:in_mind)"
#: Which places are open is asked of what the batch has still claimed.
OPEN_PLACE = "m.place = ANY(CAST(:open AS text[]))"
#: A message that was answered is no batch's any more, and could not be stored as started.
STARTS = "SET state = 'started',"
STARTS_ANEW = "SET state = 'started', claimed_by = :batch_id,"
CLAIMED = text("SELECT id FROM outgoing_messages WHERE claimed_by = :batch_id AND state = 'claimed'")


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
    """Have workers start what they once claimed, each message once."""
    in_mind: dict[tuple[UUID, int], set[int]] = {}
    claim, names, attempts_of = batches.claim, batches._names, batches._attempts_of

    async def claim_and_keep_in_mind(connection: Connection, batch: batches.Batch, **how: Any) -> int:
        held = await claim(connection, batch, **how)
        cursor = await connection.execute(CLAIMED, {"batch_id": batch.id})
        in_mind[batch.id, batch.fence] = set(cursor.scalars())
        return held

    def strike_off(begun: batches.Begun, batch: batches.Batch) -> list[batches.StartedAttempt]:
        in_mind[batch.id, batch.fence] -= set(begun.ids)
        return attempts_of(begun, batch)

    batches.START = replaced(batches.START, (STILL_CLAIMED, IN_MIND), (STARTS, STARTS_ANEW), (OPEN_PLACE, "true"))
    batches.claim = claim_and_keep_in_mind
    batches._attempts_of = strike_off
    batches._names = lambda batch: {**names(batch), "in_mind": list(in_mind.get((batch.id, batch.fence), ()))}
