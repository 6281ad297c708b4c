"""A sender without fence and lease: any delivery takes a batch, whoever has it, and starts again what was started."""

from typing import Any
from uuid import UUID

from libs.common.database import Connection
from services.sender import batches

FENCE = " AND fence = %(fence)s"
FENCE_OF_BATCH = " AND b.fence = %(fence)s"
LEASE = "AND (b.lease_until IS NULL OR b.lease_until < %(now)s OR %(redelivered)s)"

#: What the batch before this one had begun is taken for not begun.
CLAIM_AGAIN = "UPDATE outgoing_messages SET state = 'claimed' WHERE claimed_by = %(batch_id)s AND state = 'started'"


def take_away() -> None:
    """Take the protection away."""
    batches.TAKE = _without(batches.TAKE, LEASE)
    batches.RENEW = _without(batches.RENEW, FENCE)
    batches.CLOSE = _without(batches.CLOSE, FENCE)
    batches.CLAIM = _without(batches.CLAIM, FENCE_OF_BATCH)
    batches.START = _without(batches.START, FENCE_OF_BATCH)
    take = batches.take

    async def take_and_begin_again(connection: Connection, batch_id: UUID, **how: Any) -> batches.Batch | None:
        batch = await take(connection, batch_id, **how)
        if batch is not None:
            await connection.execute(CLAIM_AGAIN, {"batch_id": batch_id})
        return batch

    batches.take = take_and_begin_again


def _without(statement: str, part: str) -> str:
    assert part in statement, "the statement is another one by now"
    return statement.replace(part, "")
