"""Two ledgers side by side: what the carrier took, and what the database says. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.consent import wish

#: Seconds after a STOP was acknowledged within which a text that was under way may still arrive.
UNDER_WAY = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What comparing the ledgers gives."""

    #: Texts that the carrier took.
    texts: int
    #: Texts that somebody got once more.
    twice: int
    #: Planned texts without an end, accepted ones that the carrier does not have, and the other way about.
    lost: int
    #: Texts that the carrier took for somebody who had said STOP.
    after_stop: int

    @property
    def holds(self) -> bool:
        """Whether nobody got a text twice, nobody is lost, and nobody heard from us after STOP."""
        return self.texts > 0 and self.twice == self.lost == self.after_stop == 0


def judge(planned: Iterable[Mapping[str, Any]], bodies: tuple[str, str], ledger: Mapping[str, Any]) -> Verdict:
    """Compare a broadcast's texts (`GET /broadcasts/{id}/messages`) with the simulator's ledger.

    `bodies` are the first and the second message; a text counts as taken only if it arrived byte for byte.
    """
    took = Counter((text["to"], text["body"]) for text in ledger["texts"])
    accepted: set[tuple[str, str]] = set()
    unended = 0
    for text in planned:
        match text["state"]:
            case "accepted":
                accepted.add((text["phone_number"], bodies[text["is_second"]]))
            case "refused" | "skipped":
                pass
            case _:
                unended += 1
    return Verdict(
        texts=took.total(),
        twice=sum(count - 1 for count in took.values()),
        lost=unended + len(accepted ^ set(took)),
        after_stop=_after_stop(ledger["texts"], ledger["inbound"]),
    )


def _after_stop(texts: Sequence[Mapping[str, Any]], inbound: Sequence[Mapping[str, Any]]) -> int:
    stopped = {
        message["from"]: message["acknowledged_at"] + UNDER_WAY
        for message in inbound
        if wish(message["body"]) == "stop" and message["acknowledged_at"] is not None
    }
    return sum(text["to"] in stopped and text["accepted_at"] > stopped[text["to"]] for text in texts)
