"""Two ledgers side by side: what the carrier took, and what the database says. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.domain.keywords import Wish, parse
from libs.common.domain.states import MessageState

#: Seconds after a STOP was acknowledged within which a message that was under way may still arrive.
UNDER_WAY = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What comparing the ledgers gives."""

    #: Messages that the carrier took.
    messages: int
    #: Messages that somebody got once more.
    twice: int
    #: Planned messages without an end, accepted ones that the carrier does not have, and the other way about.
    lost: int
    #: Messages that the carrier took for somebody who had said STOP.
    after_stop: int

    @property
    def holds(self) -> bool:
        """Whether nobody got a message twice, nobody is lost, and nobody heard from us after STOP."""
        return self.messages > 0 and self.twice == self.lost == self.after_stop == 0


def judge(planned: Iterable[Mapping[str, Any]], bodies: tuple[str, str], ledger: Mapping[str, Any]) -> Verdict:
    """Compare a broadcast's messages (`GET /broadcasts/{id}/messages`) with the simulator's ledger.

    `bodies` are the first and the second message; a message counts as taken only if it arrived byte for byte.
    """
    took = Counter((message["to"], message["body"]) for message in ledger["messages"])
    accepted: set[tuple[str, str]] = set()
    unended = 0
    for message in planned:
        match message["state"]:
            case MessageState.ACCEPTED:
                accepted.add((message["phone_number"], bodies[message["is_second"]]))
            case MessageState.REFUSED | MessageState.SKIPPED:
                pass
            case _:
                unended += 1
    return Verdict(
        messages=took.total(),
        twice=sum(count - 1 for count in took.values()),
        lost=unended + len(accepted ^ set(took)),
        after_stop=_after_stop(ledger["messages"], ledger["inbound"]),
    )


def _after_stop(messages: Sequence[Mapping[str, Any]], inbound: Sequence[Mapping[str, Any]]) -> int:
    stopped = {
        message["from"]: message["acknowledged_at"] + UNDER_WAY
        for message in inbound
        if parse(message["body"]).wish is Wish.STOP and message["acknowledged_at"] is not None
    }
    return sum(message["to"] in stopped and message["accepted_at"] > stopped[message["to"]] for message in messages)
