"""A model of the carrier: takes a request within `REQUEST_TIMEOUT` of its leaving or never, and shows it in its log.

The log may also stand still and show nothing that came after, whoever looks and however long. Others write to the
account now and then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import httpx

from libs.common.carriers.missive import Missive
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused
from libs.common.carriers.twilio import Twilio
from services.sender.batches import StartedAttempt
from tests.support.protocol.stage import Stage
from tests.support.world import FROM, Clock

LEASE = 15.0  # seconds
REQUEST_TIMEOUT = 15.0  # seconds
#: The least that is safe: a request may be looked at last `LEASE` after its attempt began, its worker be stopped then
#: for almost `LEASE`, and the carrier take `REQUEST_TIMEOUT`.
SETTLE_AFTER = 2 * LEASE + REQUEST_TIMEOUT + 1

#: Whether the carrier's log can be read, has an entry that cannot, or shows nothing new since it froze.
Log = Literal["readable", "away", "garbled", "frozen"]
#: What the carrier does with a request: takes it, refuses it in one of the ways, or never gets it.
Decision = Literal["take", "refuse", "opted out", "slow down", "again", "account", "nothing"]
ANSWERS: dict[Decision, Outcome] = {
    "refuse": Refused(code="21211", reason=""),
    "opted out": Refused(code="21610", reason=""),
    "slow down": Deferred(code="http_429", reason=""),
    "again": Deferred(code="http_408", reason=""),
    "account": Deferred(code="http_401", reason=""),
}


@dataclass(slots=True, kw_only=True)
class Entry:
    """A message that the carrier took."""

    sid: str
    to: str
    body: str
    at: datetime
    #: When its log shows it.
    shown_at: datetime


@dataclass(slots=True, kw_only=True)
class Ask:
    """An attempt as its worker has it in mind, and as it is on its way."""

    started: StartedAttempt
    body: str
    began_at: datetime
    #: Whether the worker has looked for the last time whether it may still send.
    checked: bool = False
    written: bool = False
    decision: Decision = "take"
    lags: bool = False
    #: The carrier has not decided yet; it will by then.
    decided_by: datetime | None = None
    answer: Outcome | None = None
    #: The text as the carrier has it, if it took it.
    entry: Entry | None = None
    #: What the worker makes of it.
    outcome: Outcome | None = None
    recorded: int = 0


class Carrier:
    """Takes messages, and shows them in its log."""

    def __init__(self, stage: Stage, clock: Clock, *, missive: bool, skew: int) -> None:
        self._stage = stage
        self._clock = clock
        self._missive = missive
        self._skew = timedelta(seconds=skew)
        self.taken: list[Entry] = []
        #: When strangers wrote to the account.
        self.strangers: list[datetime] = []
        self.pending: list[Ask] = []
        self.log: Log = "readable"
        #: Since when a log that is frozen has shown nothing new.
        self.frozen_at = clock.now
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.twilio = Twilio(base_url="http://carrier", account_sid="AC1", auth_token="t", client=client, now=clock)
        self.missive = Missive(base_url="http://carrier", token="t", client=client, now=clock)

    def ask(self, ask: Ask, *, slow: bool) -> None:
        """Get a request; a slow one is decided later."""
        ask.written = True
        ask.decided_by = self._clock.now + timedelta(seconds=REQUEST_TIMEOUT)
        self.pending.append(ask)
        if not slow:
            self.decide(ask)

    def decide(self, ask: Ask) -> None:
        """Take a message or not."""
        self.pending.remove(ask)
        if ask.decision != "take":
            ask.answer = ANSWERS.get(ask.decision)
            return
        sid, now = f"SM{len(self.taken)}", self._clock.now
        latest = ask.began_at + timedelta(seconds=SETTLE_AFTER)
        shown_at = max(now, latest) if ask.lags else now
        to = ask.started.attempt.to
        ask.entry = Entry(sid=sid, to=to, body=ask.body, at=now, shown_at=shown_at)
        self.taken.append(ask.entry)
        ask.answer = Accepted(missive_id=f"M-{sid}") if self._missive else Accepted(twilio_id=sid)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = self._response(request)
        response.headers["Date"] = format_datetime((self._clock.now + self._skew).replace(microsecond=0), usegmt=True)
        await self._stage.gate("log")
        return response

    def _response(self, request: httpx.Request) -> httpx.Response:
        if self.log == "away":
            return httpx.Response(503)
        shown = [entry for entry in self.taken if entry.shown_at <= self._clock.now]
        if request.url.path.startswith("/v1/messages/"):
            ids = request.url.path.rpartition("/")[2].split(",")
            found = [{"id": f"M-{x.sid}", "external_id": x.sid} for x in shown if f"M-{x.sid}" in ids]
            return httpx.Response(200, json={"messages": found})
        asked = request.url.params
        size, first = int(asked["PageSize"]), int(asked.get("PageToken", 0))
        strangers = self.strangers
        if self.log == "frozen":
            shown = [entry for entry in shown if entry.at <= self.frozen_at]
            strangers = [at for at in strangers if at <= self.frozen_at]
        dated = [(x.at, self._listed(x)) for x in shown if asked.get("To", x.to) == x.to]
        if "To" not in asked and "From" not in asked:
            dated += [(at, self._stranger(n, at)) for n, at in enumerate(strangers)]
        listed = [item for _, item in sorted(dated, key=lambda pair: pair[0], reverse=True)]
        if self.log == "garbled":
            listed.insert(0, {"sid": None})
        more = first + size < len(listed)
        following = f"{request.url.path}?{asked.set('PageToken', str(first + size))}" if more else None
        return httpx.Response(200, json={"messages": listed[first : first + size], "next_page_uri": following})

    def _stranger(self, n: int, at: datetime) -> dict[str, Any]:
        who = Entry(sid=f"SMstranger{n}", to=FROM, body="?", at=at, shown_at=at)
        return {**self._listed(who), "from": "+12485550001", "direction": "inbound"}

    def _listed(self, entry: Entry) -> dict[str, Any]:
        at = format_datetime((entry.at + self._skew).replace(microsecond=0))
        return {
            "sid": entry.sid, "to": entry.to, "from": FROM, "body": entry.body, "status": "delivered",
            "error_code": None, "date_created": at, "date_sent": at, "direction": "outbound-api",
        }  # fmt: skip
