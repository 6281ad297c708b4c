"""Every message there was: the account that tests are judged by.

A message is entered the moment a carrier accepts it, whatever the client is told afterwards, and never leaves.
`messages` is in the order of acceptance; `log` is Twilio's, in the order in which Twilio heard of each, replies
included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: How far along a status is. A message never goes back, and a final status stays.
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
class Message:
    """One message, either way."""

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
    #: How many seconds Twilio may keep it before it sends it; None for as long as it does by itself.
    validity: int | None = None
    #: The Messaging Service that sent it.
    service: str | None = None
    #: Accepted although the recipient had said STOP to the sender.
    after_stop: bool = False
    #: When the first webhook about it was taken (2xx).
    acknowledged_at: float | None = None
    history: list[tuple[str, float]] = field(default_factory=list)

    @property
    def is_inbound(self) -> bool:
        """Whether a handset wrote it."""
        return self.carrier == "handset"

    def status_at(self, at: float) -> tuple[str, float]:
        """Return the status that the message had at a moment, and since when."""
        return next((moved for moved in reversed(self.history) if moved[1] <= at), self.history[0])

    def move(self, status: str, at: float, *, error_code: int | None = None) -> bool:
        """Move the message a status further along; return whether it took it."""
        if self.history and RANKS[status] <= RANKS[self.status]:
            return False
        self.status, self.error_code, self.updated_at = status, error_code, at
        self.history.append((status, at))
        return True


@dataclass(slots=True)
class Conversation:
    """A conversation that has, or had, a label."""

    id: str
    our_number: str
    handset: str
    #: Ids of labels.
    labels: list[str] = field(default_factory=list)
    active_at: float = 0.0


class Ledger:
    """All messages, and what may be asked about them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.inbound: list[Message] = []
        self.log: list[Message] = []
        self.refused: Counter[str] = Counter()
        #: Posts in Missive: the conversation and the words.
        self.posts: list[tuple[str, str]] = []
        self._by_missive_id: dict[str, Message] = {}
        self._by_number: dict[str, list[Message]] = {}
        #: The place of a message in the log.
        self._place: dict[str, int] = {}

    def accept(self, message: Message) -> None:
        """Enter a message that a carrier took."""
        self.messages.append(message)
        if message.missive_id is not None:
            self._by_missive_id[message.missive_id] = message

    def receive(self, message: Message) -> None:
        """Enter a message that a handset wrote."""
        self.inbound.append(message)
        if message.missive_id is not None:
            self._by_missive_id[message.missive_id] = message

    def enter_log(self, message: Message) -> None:
        """Enter a message into Twilio's log, where it has its sid from now on."""
        assert message.sid is not None
        self._place[message.sid] = len(self.log)
        self.log.append(message)
        self._by_number.setdefault(message.to, []).append(message)

    def by_missive_id(self, missive_id: str) -> Message | None:
        """Find a message by Missive's id."""
        return self._by_missive_id.get(missive_id)

    def by_sid(self, sid: str) -> Message | None:
        """Find a message by Twilio's sid."""
        place = self._place.get(sid)
        return None if place is None else self.log[place]

    def newest_first(self, to: str | None, *, before: int | None = None) -> Iterator[Message]:
        """Go through the log, or what it has for one recipient; with `before`, what comes behind that place."""
        if to is not None:
            messages = reversed(self._by_number.get(to, []))
            return (message for message in messages if before is None or self.place(message) < before)
        start = len(self.log) if before is None else before
        return (self.log[place] for place in range(start - 1, -1, -1))

    def place(self, message: Message) -> int:
        """Return the place of a message in the log: newer ones have greater places."""
        assert message.sid is not None
        return self._place[message.sid]

    def report(self, *, messages: bool, equal_by_design: Iterable[str]) -> dict[str, Any]:
        """Return the whole account."""
        statuses = Counter(message.status for message in self.messages)
        report: dict[str, Any] = {
            "totals": {
                "accepted": len(self.messages),
                "handed_over": sum(message.sid is not None for message in self.messages),
                **{name: statuses[name] for name in ("delivered", "undelivered", "failed", "never_handed_over")},
                "inbound": len(self.inbound),
                "after_stop": sum(message.after_stop for message in self.messages),
                "refused": dict(self.refused),
                "statuses": dict(statuses),
            },
            "duplicates": self._duplicates(frozenset(equal_by_design)),
        }
        if messages:
            report["messages"] = [outbound(message) for message in self.messages]
            report["inbound"] = [inbound(message) for message in self.inbound]
        return report

    def _duplicates(self, equal_by_design: frozenset[str]) -> list[dict[str, Any]]:
        """Return what one number was sent more than once, in the order of the first."""
        equal: dict[tuple[str, str, str], list[float]] = {}
        for message in self.messages:
            if message.carrier != "staff" and message.body not in equal_by_design:
                equal.setdefault((message.to, message.from_number, message.body), []).append(message.accepted_at)
        return [
            {"to": to, "from": from_number, "body": body, "count": len(times), "accepted_at": times}
            for (to, from_number, body), times in equal.items()
            if len(times) > 1
        ]


def outbound(message: Message) -> dict[str, Any]:
    """Write a message that went out."""
    return {
        "n": message.n,
        "carrier": message.carrier,
        "to": message.to,
        "from": message.from_number,
        "service": message.service,
        "body": message.body,
        "missive_id": message.missive_id,
        "conversation": message.conversation,
        "sid": message.sid,
        "accepted_at": message.accepted_at,
        "handed_over_at": message.handed_over_at,
        "status": message.status,
        "error_code": message.error_code,
        "history": message.history,
        "after_stop": message.after_stop,
    }


def inbound(message: Message) -> dict[str, Any]:
    """Write a message that a handset wrote."""
    return {
        "n": message.n,
        "from": message.from_number,
        "to": message.to,
        "body": message.body,
        "sid": message.sid,
        "missive_id": message.missive_id,
        "conversation": message.conversation,
        "at": message.accepted_at,
        "acknowledged_at": message.acknowledged_at,
    }
