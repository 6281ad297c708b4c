"""Every text there was: the account that tests are judged by.

A text is entered the moment a carrier accepts it, whatever the client is told afterwards, and never leaves. `texts` is
in the order of acceptance; `log` is Twilio's, in the order in which Twilio heard of each, replies included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: How far along a status is. A text never goes back, and a final status stays.
RANKS = {
    "accepted": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "delivered": 4,
    "undelivered": 4,
    "failed": 4,
    "never_handed_over": 4,
    "received": 4,
}


@dataclass(slots=True, kw_only=True)
class Text:
    """One text, either way."""

    n: int
    #: missive, twilio, staff (typed by hand), or handset (a reply).
    carrier: str
    to: str
    from_number: str
    body: str
    accepted_at: float
    account_sid: str
    missive_id: str | None = None
    conversation: str | None = None
    sid: str | None = None
    handed_over_at: float | None = None
    sent_at: float | None = None
    updated_at: float = 0.0
    status: str = "accepted"
    error_code: int | None = None
    status_callback: str = ""
    #: Accepted although the recipient had said STOP to the sender.
    after_stop: bool = False
    #: When the first webhook about it was taken (2xx).
    acknowledged_at: float | None = None
    history: list[tuple[str, float]] = field(default_factory=list)

    @property
    def is_inbound(self) -> bool:
        """Whether a handset wrote it."""
        return self.carrier == "handset"

    def move(self, status: str, at: float, *, error_code: int | None = None) -> bool:
        """Give the text a status further along; tell whether it took it."""
        if self.history and RANKS[status] <= RANKS[self.status]:
            return False
        self.status, self.error_code, self.updated_at = status, error_code, at
        self.history.append((status, at))
        return True


class Ledger:
    """All texts, and what may be asked about them."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.inbound: list[Text] = []
        self.log: list[Text] = []
        self.refused: Counter[str] = Counter()
        self._by_missive_id: dict[str, Text] = {}
        self._by_number: dict[str, list[Text]] = {}
        #: The place of a text in the log.
        self._place: dict[str, int] = {}

    def accept(self, text: Text) -> None:
        """Enter a text that a carrier took."""
        self.texts.append(text)
        if text.missive_id is not None:
            self._by_missive_id[text.missive_id] = text

    def receive(self, text: Text) -> None:
        """Enter a text that a handset wrote."""
        self.inbound.append(text)
        if text.missive_id is not None:
            self._by_missive_id[text.missive_id] = text

    def enter_log(self, text: Text) -> None:
        """Enter a text into Twilio's log, where it has its sid from now on."""
        assert text.sid is not None
        self._place[text.sid] = len(self.log)
        self.log.append(text)
        self._by_number.setdefault(text.to, []).append(text)

    def by_missive_id(self, missive_id: str) -> Text | None:
        """Find a text by Missive's id."""
        return self._by_missive_id.get(missive_id)

    def by_sid(self, sid: str) -> Text | None:
        """Find a text by Twilio's sid."""
        place = self._place.get(sid)
        return None if place is None else self.log[place]

    def newest_first(self, to: str | None, *, before: int | None = None) -> Iterator[Text]:
        """Go through the log, or what it has for one recipient; with `before`, from the texts behind that place on."""
        if to is not None:
            texts = reversed(self._by_number.get(to, []))
            return (text for text in texts if before is None or self.place(text) < before)
        start = len(self.log) if before is None else before
        return (self.log[place] for place in range(start - 1, -1, -1))

    def place(self, text: Text) -> int:
        """Give the place of a text in the log: newer ones have greater places."""
        assert text.sid is not None
        return self._place[text.sid]

    def report(self, *, texts: bool, equal_by_design: Iterable[str]) -> dict[str, Any]:
        """Give the whole account."""
        statuses = Counter(text.status for text in self.texts)
        report: dict[str, Any] = {
            "totals": {
                "accepted": len(self.texts),
                "handed_over": sum(text.sid is not None for text in self.texts),
                **{name: statuses[name] for name in ("delivered", "undelivered", "failed", "never_handed_over")},
                "inbound": len(self.inbound),
                "after_stop": sum(text.after_stop for text in self.texts),
                "refused": dict(self.refused),
                "statuses": dict(statuses),
            },
            "duplicates": self._duplicates(frozenset(equal_by_design)),
        }
        if texts:
            report["texts"] = [outbound(text) for text in self.texts]
            report["inbound"] = [inbound(text) for text in self.inbound]
        return report

    def _duplicates(self, equal_by_design: frozenset[str]) -> list[dict[str, Any]]:
        """Give what one number was sent more than once, in the order of the first."""
        equal: dict[tuple[str, str, str], list[float]] = {}
        for text in self.texts:
            if text.carrier != "staff" and text.body not in equal_by_design:
                equal.setdefault((text.to, text.from_number, text.body), []).append(text.accepted_at)
        return [
            {"to": to, "from": from_number, "body": body, "count": len(times), "accepted_at": times}
            for (to, from_number, body), times in equal.items()
            if len(times) > 1
        ]


def outbound(text: Text) -> dict[str, Any]:
    """Write a text that went out."""
    return {
        "n": text.n,
        "carrier": text.carrier,
        "to": text.to,
        "from": text.from_number,
        "body": text.body,
        "missive_id": text.missive_id,
        "conversation": text.conversation,
        "sid": text.sid,
        "accepted_at": text.accepted_at,
        "handed_over_at": text.handed_over_at,
        "status": text.status,
        "error_code": text.error_code,
        "history": text.history,
        "after_stop": text.after_stop,
    }


def inbound(text: Text) -> dict[str, Any]:
    """Write a text that a handset wrote."""
    return {
        "n": text.n,
        "from": text.from_number,
        "to": text.to,
        "body": text.body,
        "sid": text.sid,
        "missive_id": text.missive_id,
        "conversation": text.conversation,
        "at": text.accepted_at,
        "acknowledged_at": text.acknowledged_at,
    }
