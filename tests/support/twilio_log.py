"""Twilio's log as its API shows it, newest first and page by page, behind the real client; only the network is cut."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx

from libs.common.carriers.missive import Missive
from libs.common.carriers.twilio import Twilio
from tests.support.world import FROM, Clock

URL = "http://twilio.test"


@dataclass(slots=True)
class TwilioLog:
    """The log. What a test puts into `failures` is answered in place of the next pages; None is the page itself."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    failures: list[httpx.Response | None] = field(default_factory=list)
    #: Called after each page that was read: what happens between two pages.
    between: Callable[[], object] | None = None
    #: Whether the last page has the key `next_page_uri` at all.
    says_that_it_ends: bool = True
    asked: list[httpx.URL] = field(default_factory=list)
    #: What Missive knows: message id to Twilio's sid, or to none.
    external_ids: dict[str, str | None] = field(default_factory=dict)
    #: Our clock, and how far the carrier's is ahead of it, in its answers and its log.
    clock: Clock = field(default_factory=Clock)
    ahead: timedelta = timedelta(0)
    #: Whether answers tell the carrier's time.
    tells_its_time: bool = True
    #: Entries that were created since then are not shown yet.
    stands_still_since: datetime | None = None

    def add(
        self,
        sid: str,
        to: str,
        body: str,
        at: datetime,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        direction: str = "outbound-api",
        from_number: str = FROM,
    ) -> None:
        """Log a message that was created at a time of ours."""
        told = format_datetime((at + self.ahead).replace(microsecond=0))
        self.entries.append({
            "sid": sid, "to": to, "from": from_number, "body": body, "status": status, "error_code": error_code,
            "date_created": told, "date_sent": told, "direction": direction,
        })  # fmt: skip

    def reply(self, sid: str, sender: str, body: str, at: datetime) -> None:
        """Log what somebody wrote to us."""
        self.add(sid, FROM, body, at, status="received", direction="inbound", from_number=sender)

    def stranger(self, at: datetime | None = None) -> None:
        """Log that somebody who has nothing to do with any broadcast wrote to another number of the account."""
        at = at or self.clock.now
        self.add(
            f"SMstranger{len(self.entries)}", "+12485550100", "?", at, direction="inbound", from_number="+12485550001"
        )

    def set(self, sid: str, **fields: Any) -> None:
        """Change an entry."""
        for entry in self.entries:
            if entry["sid"] == sid:
                entry.update(fields)

    def twilio(self) -> Twilio:
        return Twilio(base_url=URL, account_sid="AC1", auth_token="token", client=self._client(), now=self.clock)

    def missive(self) -> Missive:
        return Missive(base_url=URL, token="token", client=self._client(), now=self.clock)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        response = self._response(request)
        if self.tells_its_time:
            told = (self.clock.now.astimezone(UTC) + self.ahead).replace(microsecond=0)
            response.headers["Date"] = format_datetime(told, usegmt=True)
        return response

    def _response(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        if request.url.path.startswith("/v1/messages/"):
            ids = request.url.path.rpartition("/")[2].split(",")
            known = [{"id": item, "external_id": self.external_ids[item]} for item in ids if item in self.external_ids]
            return httpx.Response(200, json={"messages": known})
        if self.failures and (failure := self.failures.pop(0)) is not None:
            return failure
        asked = request.url.params
        size, first = int(asked.get("PageSize", 50)), int(asked.get("PageToken", 0))
        still = self.stands_still_since and (self.stands_still_since + self.ahead).replace(microsecond=0)
        found = sorted(
            (
                entry
                for entry in self.entries
                if asked.get("From", entry["from"]) == entry["from"]
                and asked.get("To", entry["to"]) == entry["to"]
                and (still is None or parsedate_to_datetime(entry["date_created"]) < still)
            ),
            key=lambda entry: -_seconds(entry),
        )
        more = first + size < len(found)
        page: dict[str, Any] = {"messages": found[first : first + size]}
        if more:
            rest = asked.set("PageToken", str(first + size))
            page["next_page_uri"] = f"{request.url.path}?{rest}"
        elif self.says_that_it_ends:
            page["next_page_uri"] = None
        if self.between is not None:
            self.between()
        return httpx.Response(200, json=page)


def _seconds(entry: dict[str, Any]) -> float:
    return parsedate_to_datetime(entry["date_created"]).timestamp()
