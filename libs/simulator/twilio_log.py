"""Pages of Twilio's log, newest first.

Filters, page size and order:
https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources. A page token is the last
entry of the page before (`PA` and its sid, as Twilio's are), so new messages at the head do not shift the pages after
it; a fault can make them shift all the same. A date filter looks at the time of sending, or of creation while a message
has not been sent.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain, islice, takewhile
from typing import Any
from urllib.parse import parse_qsl, urlencode

from libs.simulator.clock import CarrierClock
from libs.simulator.handsets import segments
from libs.simulator.ledger import Ledger, Message

PAGE_SIZE, MAX_PAGE_SIZE = 50, 1000
PRICE = 0.0079  # US dollars a segment
TOKEN_PREFIX = "PA"
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")

ERROR_MESSAGES = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    21610: "Attempt to send to unsubscribed recipient",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a request for a page asks for."""

    to: str | None
    from_number: str | None
    since: float | None
    before: float | None
    page_size: int
    page: int
    #: The sid of the last entry of the page before.
    after: str | None
    #: The filters as they came, for the addresses of other pages.
    filters: tuple[tuple[str, str], ...]


def parse(query: str) -> Query:
    """Read a query string. Raise ValueError."""
    given = dict(parse_qsl(query, keep_blank_values=False))
    since, before = None, None
    if "DateSent" in given:
        start, _ = _moment(given["DateSent"])
        since = start.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        before = since + timedelta(days=1).total_seconds()
    if "DateSent>" in given:
        since = _moment(given["DateSent>"])[0].timestamp()
    if "DateSent<" in given:
        # On or before: the whole day, or the whole second.
        end, length = _moment(given["DateSent<"])
        before = (end + length).timestamp()
    token = given.get("PageToken", "")
    return Query(
        to=given.get("To"),
        from_number=given.get("From"),
        since=since,
        before=before,
        page_size=min(max(int(given.get("PageSize", PAGE_SIZE)), 1), MAX_PAGE_SIZE),
        page=max(int(given.get("Page", 0)), 0),
        after=token.removeprefix(TOKEN_PREFIX) or None,
        filters=tuple((name, given[name]) for name in FILTERS if name in given),
    )


def _moment(value: str) -> tuple[datetime, timedelta]:
    """Read a date or a time in UTC, and how long it lasts."""
    moment = datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (moment, timedelta(days=1)) if len(value) == len("2026-11-23") else (moment, timedelta(seconds=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the log looks: by Twilio's clock, and as it was at a moment; as it is, without one."""

    clock: CarrierClock
    as_of: float | None = None

    def shows(self, message: Message) -> bool:
        """Whether a message was in the log by then."""
        return self.as_of is None or (message.handed_over_at is not None and message.handed_over_at <= self.as_of)

    def hides(self, message: Message) -> bool:
        """Whether a message looks other than it is."""
        return not self.shows(message) or (self.as_of is not None and message.updated_at > self.as_of)

    def sent_at(self, message: Message) -> float | None:
        """Return when a message was sent, as far as the log knows."""
        is_known = message.sent_at is not None and (self.as_of is None or message.sent_at <= self.as_of)
        return message.sent_at if is_known else None

    def read(self, at: float | None) -> float | None:
        """Return what Twilio's clock said at a moment."""
        return None if at is None else self.clock.read(at)


def hides(ledger: Ledger, query: Query, view: View) -> bool:
    """Whether a view differs from the log as it is in what a request asks for."""
    now = View(clock=view.clock)
    return any(map(view.hides, _matching(query, ledger.newest_first(query.to), now)))


def page(ledger: Ledger, path: str, query: Query, *, view: View, shift: int) -> dict[str, Any]:
    """Return a page. `shift` moves its first entry towards older ones, or newer."""
    last = None if query.after is None else ledger.by_sid(query.after)
    if last is None:
        entries: Iterator[Message] = _matching(query, ledger.newest_first(query.to), view)
    else:
        place = ledger.place(last)
        entries = islice(_matching(query, ledger.newest_first(query.to, before=place), view), max(shift, 0), None)
        if shift < 0:
            shown_before = takewhile(lambda message: ledger.place(message) >= place, ledger.newest_first(query.to))
            entries = chain(deque(_matching(query, shown_before, view), maxlen=-shift), entries)
    found = list(islice(entries, query.page_size + 1))
    shown = found[: query.page_size]
    following = shown[-1].sid if len(found) > query.page_size else None
    start = query.page * query.page_size
    return {
        "first_page_uri": _uri(path, query, 0, None),
        "end": start + max(len(shown) - 1, 0),
        "previous_page_uri": None,
        "messages": [resource(message, view) for message in shown],
        "uri": _uri(path, query, query.page, query.after),
        "page_size": query.page_size,
        "start": start,
        "next_page_uri": None if following is None else _uri(path, query, query.page + 1, following),
        "page": query.page,
    }


def _matching(query: Query, messages: Iterable[Message], view: View) -> Iterator[Message]:
    for message in messages:
        at = int(view.clock.read(view.sent_at(message) or message.handed_over_at or message.accepted_at))
        if (
            (query.from_number is None or message.from_number == query.from_number)
            and (query.since is None or at >= int(query.since))
            and (query.before is None or at < query.before)
            and view.shows(message)
        ):
            yield message


def _uri(path: str, query: Query, number: int, after: str | None) -> str:
    parts = [*query.filters, ("PageSize", str(query.page_size)), ("Page", str(number))]
    if after is not None:
        parts.append(("PageToken", TOKEN_PREFIX + after))
    return f"{path}?{urlencode(parts)}"


def resource(message: Message, view: View, *, is_new: bool = False) -> dict[str, Any]:
    """Write a message as a resource of Twilio's; a new one as the answer to its creation has it."""
    count = segments(message.body)
    status, updated_at = ("queued", message.updated_at) if is_new else (message.status, message.updated_at)
    if view.as_of is not None:
        status, updated_at = message.status_at(view.as_of)
    sent_at = None if is_new else view.sent_at(message)
    error_code = message.error_code if status == message.status else None
    uri = f"/2010-04-01/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "account_sid": message.account_sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": _date(view.read(message.handed_over_at)),
        "date_sent": _date(view.read(sent_at)),
        "date_updated": _date(view.read(updated_at)),
        "direction": "inbound" if message.is_inbound else "outbound-api",
        "error_code": error_code,
        "error_message": None if error_code is None else ERROR_MESSAGES.get(error_code),
        "from": message.from_number,
        "messaging_service_sid": message.service,
        "num_media": "0",
        "num_segments": str(count),
        "price": f"{-PRICE * count:.5f}" if sent_at is not None else None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def _date(at: float | None) -> str | None:
    return None if at is None else format_datetime(datetime.fromtimestamp(int(at), UTC))
