"""The ledger of a broadcast: what became of every planned message. Each has ended in one way, or has not ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database import Connection, EnumText, all_rows, literals
from libs.common.domain import events as e
from libs.common.domain.states import MessageState, Outcome

#: What became of a broadcast's messages. Outcomes of accepted ones are read only where they say more than the state.
LEDGER = text(f"""
SELECT m.is_second, m.state, s.outcome, coalesce(m.skip_reason, s.twilio_error_code) AS why, count(*) AS messages
FROM outgoing_messages m
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    AND s.outcome IN {literals((Outcome.REFUSED, Outcome.NOT_HANDED_OVER))}
WHERE m.broadcast_id = :broadcast_id
GROUP BY 1, 2, 3, 4
""").columns(state=EnumText(MessageState), outcome=EnumText(Outcome))


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages of a phase have come to the same."""

    is_second: bool
    state: MessageState
    outcome: Outcome | None
    #: The reason of those that were skipped, the carrier's code of those that it refused.
    why: str | None
    messages: int


async def count(connection: Connection, broadcast_id: int) -> e.Ledger:
    """Count what became of a broadcast's messages."""
    total, _, _ = await count_by_phase(connection, broadcast_id)
    return total


async def count_by_phase(connection: Connection, broadcast_id: int) -> tuple[e.Ledger, e.Ledger, e.Ledger]:
    """Count what became of a broadcast's messages: of all, of the first, and of the second ones."""
    counts = all_rows(await connection.execute(LEDGER, {"broadcast_id": broadcast_id}), Count)
    return (
        _sum(counts),
        _sum([each for each in counts if not each.is_second]),
        _sum([each for each in counts if each.is_second]),
    )


def _sum(counts: Sequence[Count]) -> e.Ledger:
    planned = accepted = uncertain = not_handed_over = 0
    refused: dict[str, int] = {}
    skipped: dict[str, int] = {}
    for each in counts:
        planned += each.messages
        match each.state:
            case _ if each.outcome is Outcome.NOT_HANDED_OVER:
                not_handed_over += each.messages
            case MessageState.ACCEPTED:
                accepted += each.messages
            case MessageState.REFUSED:
                refused[str(each.why)] = refused.get(str(each.why), 0) + each.messages
            case MessageState.SKIPPED:
                skipped[str(each.why)] = skipped.get(str(each.why), 0) + each.messages
            case MessageState.UNCERTAIN:
                uncertain += each.messages
            case _:
                pass  # not decided yet: the sum is less than planned
    return e.Ledger(
        planned=planned,
        accepted=accepted,
        refused=refused,
        skipped=skipped,
        uncertain=uncertain,
        not_handed_over=not_handed_over,
    )


def undecided(ledger: e.Ledger) -> int:
    """Return how many planned messages have not ended: those that may still be sent, or whose answer is awaited."""
    ended = ledger.accepted + sum(ledger.refused.values()) + sum(ledger.skipped.values()) + ledger.uncertain
    return ledger.planned - ended - ledger.not_handed_over


def adds_up(ledger: e.Ledger) -> bool:
    """Whether every planned message has ended in exactly one way."""
    return undecided(ledger) == 0
