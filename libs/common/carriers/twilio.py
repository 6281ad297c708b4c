"""Twilio's Messages resource (https://www.twilio.com/docs/messaging/api/message-resource).

Sending is a form POST; the answer is 201 with the message's sid and status, or an error with a code
(https://www.twilio.com/docs/usage/twilios-response): `{code, message, more_info, status}`, or `{type, title, status,
code}`, which Twilio's own client reads as well. The list of messages is Twilio's log: it holds every message that was
sent, by either carrier, newest first by the time of sending. It is read leniently, entry by entry: one entry that
cannot be read must not hide the others, since a message that is not found counts as never sent.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx

from libs.common.carriers import answers, http, statuses
from libs.common.carriers.clocks import Meter
from libs.common.carriers.errors import CarrierUnreadable, UntrustedPage
from libs.common.carriers.http import Ready
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Unknown
from libs.common.clock import Clock, utc_now

LONGEST_VALIDITY = 36_000  # seconds that Twilio keeps a message before it sends it, at the most
MAX_PAGE_SIZE = 1000
#: How much further back than asked the log is read: `DateSent` knows UTC days only, and a message may be created on one
#: day and sent on the next.
MARGIN = timedelta(days=1)

_QUERY = re.compile(r"[\x21-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One message in Twilio's log. Its repr keeps quiet about people."""

    sid: str
    to: str = field(repr=False)
    #: Ours, which a Messaging Service may have sent for; of a reply, whoever wrote.
    from_number: str = field(repr=False)
    #: Empty where the account has bodies redacted.
    body: str = field(repr=False)
    #: As Twilio writes it, whether or not `statuses` knows it.
    status: str
    error_code: int | None
    #: To the second, downwards.
    created_at: datetime | None
    sent_at: datetime | None
    direction: str
    #: The SID of the Messaging Service that sent it; empty without one.
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """A page of the log."""

    entries: tuple[LogEntry, ...]
    #: What `Twilio.page` takes; None on the last page.
    next_page_uri: str | None
    #: How many entries could not be read.
    unreadable: int


class Twilio:
    """Sends messages through Twilio, and reads its log."""

    name = "twilio"

    def __init__(
        self,
        *,
        base_url: str,
        account_sid: str,
        auth_token: str,
        api_key: tuple[str, str] | None = None,
        status_callback: str | None = None,
        client: httpx.AsyncClient | None = None,
        timeout: float = http.TIMEOUT,
        max_connections: int = 5,
        now: Clock = utc_now,
    ) -> None:
        #: Measures Twilio's clock.
        self.meter = Meter(now)
        self._base_url = base_url.rstrip("/")
        account = f"/2010-04-01/Accounts/{quote(account_sid, safe='')}"
        self._path = f"{account}/Messages.json"
        self._numbers_path = f"{account}/IncomingPhoneNumbers.json"
        # An API key and its secret stand for the account's own credentials; the address is the account's all the same.
        self._auth = httpx.BasicAuth(*(api_key or (account_sid, auth_token)))
        self._status_callback = status_callback
        #: The numbers of ours that Messaging Services send for, by their SIDs; whoever reads the log keeps it fresh.
        self.services: Mapping[str, str] = {}
        self._timeout = timeout
        self._owns_client = client is None
        self._client = client or http.create_client(timeout=timeout, max_connections=max_connections)

    async def send(
        self,
        *,
        to: str,
        from_number: str,
        body: str,
        may_still_send: Callable[[], bool],
        ready: Ready = http.at_once,
        labels: Sequence[str] = (),
        valid_for: int | None = None,
    ) -> Outcome:
        """Ask for one message, once. See `Carrier.send`."""
        sender = "MessagingServiceSid" if is_service(from_number) else "From"
        form = {"To": to, sender: from_number, "Body": body}
        if self._status_callback:
            form["StatusCallback"] = self._status_callback
        if valid_for is not None:
            form["ValidityPeriod"] = str(min(max(valid_for, 1), LONGEST_VALIDITY))
        answer = await http.post(
            self._client,
            self._base_url + self._path,
            timeout=self._timeout,
            may_still_send=may_still_send,
            ready=ready,
            meter=self.meter,
            auth=self._auth,
            data=form,
        )
        return answer if isinstance(answer, Deferred | Unknown) else _outcome(answer)

    async def messages(self, *, from_number: str, since: datetime, page_size: int) -> LogPage:
        """Read the first page of the messages from a number from `since` on; with others' where a service sends for it.

        Twilio filters by the UTC day on which a message was sent, so it is asked for a day more, and what was created
        before `since` (to the second, as the log has it) is dropped here. Raise CarrierUnreadable.
        """
        params = self._messages(from_number, since, page_size)
        return _since(since, self._page(await self._get(self._path, params), uri=None))

    def first_page_uri(self, from_number: str, since: datetime, page_size: int) -> str:
        """Return what `page` takes for the first page of the messages from a number from `since` on."""
        return f"{self._path}?{urlencode(self._messages(from_number, since, page_size))}"

    def number_of(self, uri: str) -> str | None:
        """Return the number from which the messages of a page are that another page named as its next; None for all."""
        return dict(parse_qsl(uri.partition("?")[2])).get("From")

    def is_served(self, number: str) -> bool:
        """Whether a Messaging Service sends for a number, or has: its pages have what all numbers have sent."""
        return number in self.services.values()

    def _messages(self, from_number: str, since: datetime, page_size: int) -> dict[str, str]:
        return {
            **self._from(from_number),
            "PageSize": str(min(max(page_size, 1), MAX_PAGE_SIZE)),
            "DateSent>": (since.astimezone(UTC) - MARGIN).date().isoformat(),
        }

    async def everything(
        self, *, from_number: str | None = None, to: str | None = None, since: datetime, page_size: int
    ) -> LogPage:
        """Read the first page of all there is from or to a number, replies included, from `since` on, newest first.

        Without either number it is the account's as a whole. No filter by day: a message that is still queued may have
        no `date_sent`, and whether one was accepted may hang on finding it. The pages end where they reach back past
        `since`; `page` reads the next ones. Raise CarrierUnreadable.
        """
        params = {"PageSize": str(min(max(page_size, 1), MAX_PAGE_SIZE))}
        params |= {} if from_number is None else self._from(from_number)
        params |= {} if to is None else {"To": to}
        return _since(since, self._page(await self._get(self._path, params), uri=None))

    async def has_number(self, number: str) -> bool:
        """Whether a number is the account's (https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource).

        Raise CarrierUnreadable.
        """
        content = await self._get(self._numbers_path, {"PhoneNumber": number, "PageSize": "1"})
        listed = content.get("incoming_phone_numbers")
        if not isinstance(listed, list):
            raise CarrierUnreadable("The carrier answered without phone numbers")
        return any(answers.text_in(item, "phone_number") == number for item in listed)

    async def page(self, uri: str, *, since: datetime | None = None) -> LogPage:
        """Read the page that another page named as its next; with `since`, what is older is dropped as in `messages`.

        The URI comes from outside and the request carries our credentials: it must lead to the account's log at the
        address that we know, else UntrustedPage is raised. Raise CarrierUnreadable.
        """
        query = self._trusted_query(uri)
        page = self._page(await self._get(f"{self._path}?{query}", None), uri=uri)
        return page if since is None else _since(since, page)

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._owns_client:
            await self._client.aclose()

    def _from(self, number: str) -> dict[str, str]:
        """Return the filter by a number; none where a service sends for it, from whichever number of its own.

        The list knows no filter by service: what is somebody else's is for the caller to pass over.
        """
        return {} if self.is_served(number) else {"From": number}

    def _page(self, content: dict[str, Any], *, uri: str | None) -> LogPage:
        page = _page(content, uri=uri)
        entries = tuple(
            replace(entry, from_number=self.services[entry.service])
            if entry.service in self.services and not entry.direction.startswith("inbound")
            else entry
            for entry in page.entries
        )
        return replace(page, entries=entries)

    async def _get(self, path: str, params: dict[str, str] | None) -> dict[str, Any]:
        return await http.get(
            self._client,
            self._base_url + path,
            own_code=own_code,
            timeout=self._timeout,
            meter=self.meter,
            auth=self._auth,
            params=params,
        )

    def _trusted_query(self, uri: str) -> str:
        """Return the one part of the URI that is used; the others must be what we would have written ourselves."""
        address, _, query = uri.partition("?")
        if address not in (self._path, self._base_url + self._path, _origin(self._base_url) + self._path):
            raise UntrustedPage
        # Without a query the address is that of the first page.
        if not query or not _QUERY.fullmatch(query) or "#" in query:
            raise UntrustedPage
        return query


def is_service(sender: str) -> bool:
    """Whether a sender is a Messaging Service, and not a number."""
    return sender.startswith("MG")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def own_code(response: httpx.Response) -> str | None:
    """Return the code of an error of Twilio's; None if the answer is not Twilio's word.

    Twilio's codes have five digits: gateways repeat the status as a code. Nothing longer, which might be a number of
    somebody's, gets out.
    """
    content = answers.json_object(response) or {}
    code, status = content.get("code"), content.get("status", response.status_code)
    is_own = (
        type(code) is int
        and 10_000 <= code < 100_000
        and status == response.status_code
        and (answers.text_in(content, "message") or answers.text_in(content, "title")) is not None
    )
    return str(code) if is_own else None


def _outcome(response: httpx.Response) -> Outcome:
    if not response.is_success:
        return answers.refusal(response, own_code(response))
    content = answers.json_object(response)
    sid = answers.text_in(content, "sid")
    if sid is None:
        return Unknown(reason="unreadable_answer")
    status = answers.text_in(content, "status")
    return Accepted(twilio_id=sid, twilio_status=None if status is None else statuses.normal(status))


def _page(content: dict[str, Any], *, uri: str | None) -> LogPage:
    listed = content.get("messages")
    if not isinstance(listed, list):
        raise CarrierUnreadable("The carrier answered without messages")
    entries = tuple(entry for entry in map(_entry, listed) if entry is not None)
    next_page_uri = answers.text_in(content, "next_page_uri")
    return LogPage(
        entries=entries,
        # A page that names itself would be read for ever.
        next_page_uri=None if next_page_uri == uri else next_page_uri,
        unreadable=len(listed) - len(entries),
    )


def _entry(item: Any) -> LogEntry | None:
    sid, to, from_number, status = (answers.text_in(item, key) for key in ("sid", "to", "from", "status"))
    if sid is None or to is None or from_number is None or status is None:
        return None
    return LogEntry(
        sid=sid,
        to=to,
        from_number=from_number,
        body=answers.text_in(item, "body") or "",
        status=statuses.normal(status),
        error_code=_error_code(item.get("error_code")),
        created_at=_time(item.get("date_created")),
        sent_at=_time(item.get("date_sent")),
        direction=answers.text_in(item, "direction") or "",
        service=answers.text_in(item, "messaging_service_sid") or "",
    )


def _error_code(value: Any) -> int | None:
    text = value.strip() if isinstance(value, str) else value if type(value) is int else ""
    code = int(text) if re.fullmatch(r"[0-9]{1,6}", str(text)) else 0
    return code or None


def _time(value: Any) -> datetime | None:
    """Read an RFC 2822 date; without an offset it is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = parsedate_to_datetime(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _since(since: datetime, page: LogPage) -> LogPage:
    """Drop what is older; a page that reaches back past the margin is the last that matters. No date counts as new."""
    start = since.astimezone(UTC).replace(microsecond=0)
    reaches_back = any((entry.sent_at or entry.created_at or start) < start - MARGIN for entry in page.entries)
    return LogPage(
        entries=tuple(entry for entry in page.entries if (entry.created_at or entry.sent_at or start) >= start),
        next_page_uri=None if reaches_back else page.next_page_uri,
        unreadable=page.unreadable,
    )
