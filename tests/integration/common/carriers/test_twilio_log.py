"""Reading Twilio's log."""

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers import twilio
from libs.common.carriers.errors import CarrierUnreadable, UntrustedPage
from libs.common.carriers.twilio import LogEntry, LogPage
from libs.common.observability.telemetry import quiet_libraries
from tests.support import loopback
from tests.support.carrier_samples import FROM, SID, TO, create_twilio, log_entry
from tests.support.loopback import Loopback, answer

PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
SINCE = datetime(2023, 8, 24, 5, 1, 45, 900_000, tzinfo=UTC)


async def read(server: Loopback, *, patience: float = 30.0, **changes: Any) -> LogPage:
    client = create_twilio(server.url, timeout=patience)
    try:
        read = client.everything if "to" in changes else client.messages
        return await read(**{"from_number": FROM, "since": SINCE, "page_size": 100, **changes})
    finally:
        await client.aclose()


async def follow(server: Loopback, uri: str, since: datetime | None = None) -> LogPage:
    client = create_twilio(server.url, timeout=30.0)
    try:
        return await client.page(uri, since=since)
    finally:
        await client.aclose()


async def page_of(*entries: object, **changes: Any) -> LogPage:
    async with Loopback(answer(200, {"messages": list(entries), **changes})) as server:
        return await read(server)


def query_of(server: Loopback) -> dict[str, list[str]]:
    return parse_qs(urlsplit(server.received[0].target).query)


async def test_an_entry_is_read() -> None:
    page = await page_of(log_entry())
    assert page.entries == (
        LogEntry(
            sid="SM1",
            to=TO,
            from_number=FROM,
            body="Hello",
            status="delivered",
            error_code=None,
            created_at=datetime(2023, 8, 24, 5, 1, 45, tzinfo=UTC),
            sent_at=datetime(2023, 8, 24, 5, 1, 46, tzinfo=UTC),
            direction="outbound-api",
        ),
    )


async def test_the_log_of_a_number_is_asked_for_from_the_day_before_in_utc() -> None:
    async with Loopback(answer(200, {"messages": []})) as server:
        # The 23rd in Detroit is the 24th in UTC.
        await read(server, since=datetime(2023, 8, 23, 22, 0, tzinfo=timezone(timedelta(hours=-4))))
        assert query_of(server) == {"From": [FROM], "PageSize": ["100"], "DateSent>": ["2023-08-23"]}


async def test_the_log_of_a_pair_of_numbers_is_not_filtered_by_day_since_a_queued_message_may_have_none() -> None:
    async with Loopback(answer(200, {"messages": []})) as server:
        await read(server, to=TO)
        assert query_of(server) == {"From": [FROM], "To": [TO], "PageSize": ["100"]}


@pytest.mark.parametrize(("asked", "sent"), [(0, "1"), (100, "100"), (5000, "1000")])
async def test_a_page_is_no_larger_than_twilio_allows(asked: int, sent: str) -> None:
    async with Loopback(answer(200, {"messages": []})) as server:
        await read(server, page_size=asked)
        assert query_of(server)["PageSize"] == [sent]


async def test_what_is_older_than_asked_is_dropped() -> None:
    page = await page_of(log_entry(date_created="Thu, 24 Aug 2023 05:01:44 +0000"))
    assert page.entries == ()


async def test_a_message_of_the_same_second_is_kept_since_the_log_has_no_fractions() -> None:
    page = await page_of(log_entry(date_created="Thu, 24 Aug 2023 05:01:45 +0000"))
    assert len(page.entries) == 1


async def test_an_entry_without_dates_is_kept() -> None:
    page = await page_of(log_entry(date_created=None, date_sent="soon"))
    assert len(page.entries) == 1


async def test_a_page_that_reaches_back_far_enough_is_the_last() -> None:
    old = log_entry(date_created="Mon, 21 Aug 2023 00:00:00 +0000", date_sent="Mon, 21 Aug 2023 00:00:00 +0000")
    page = await page_of(log_entry(), old, next_page_uri=f"{PATH}?Page=1")
    assert page.next_page_uri is None


async def test_a_page_that_begins_yesterday_is_not_the_last() -> None:
    old = log_entry(date_created="Wed, 23 Aug 2023 12:00:00 +0000", date_sent="Wed, 23 Aug 2023 12:00:00 +0000")
    page = await page_of(log_entry(), old, next_page_uri=f"{PATH}?Page=1")
    assert page.next_page_uri == f"{PATH}?Page=1"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "text",
        [],
        {},
        log_entry(sid=None),
        log_entry(sid=7),
        log_entry(to=""),
        log_entry(status=None),
        {key: value for key, value in log_entry().items() if key != "from"},
    ],
)
async def test_an_entry_that_cannot_be_read_is_counted_and_does_not_hide_the_others(entry: object) -> None:
    page = await page_of(log_entry(sid="SM1"), entry, log_entry(sid="SM2"))
    assert ([each.sid for each in page.entries], page.unreadable) == (["SM1", "SM2"], 1)


async def test_a_status_that_nobody_knows_passes_through() -> None:
    page = await page_of(log_entry(status="teleported"))
    assert page.entries[0].status == "teleported"


@pytest.mark.parametrize(
    ("value", "code"),
    [(30003, 30003), ("30003", 30003), (None, None), ("", None), (0, None), ("many", None), (True, None), ([1], None)],
)
async def test_an_error_code_is_a_number_or_absent(value: object, code: int | None) -> None:
    page = await page_of(log_entry(error_code=value))
    assert page.entries[0].error_code == code


@pytest.mark.parametrize("body", [None, ""])
async def test_a_body_that_was_redacted_is_empty(body: object) -> None:
    page = await page_of(log_entry(body=body))
    assert page.entries[0].body == ""


@pytest.mark.parametrize("missing", [{}, {"next_page_uri": None}, {"next_page_uri": ""}, {"next_page_uri": 7}])
async def test_a_page_without_a_next_one_is_the_last(missing: dict[str, object]) -> None:
    page = await page_of(log_entry(), **missing)
    assert page.next_page_uri is None


async def test_a_next_page_is_read_as_it_was_named() -> None:
    uri = f"{PATH}?From=%2B13135550100&DateSent%3E=2023-08-23&PageSize=100&Page=1&PageToken=PASM1"
    async with Loopback(answer(200, {"messages": [log_entry()]})) as server:
        await follow(server, uri)
        assert server.received[0].target == uri


async def test_a_next_page_at_the_whole_address_is_read() -> None:
    async with Loopback(answer(200, {"messages": [log_entry()]})) as server:
        page = await follow(server, f"{server.url}{PATH}?Page=1")
    assert len(page.entries) == 1


async def test_a_page_that_names_itself_is_the_last() -> None:
    async with Loopback(answer(200, {"messages": [], "next_page_uri": f"{PATH}?Page=1"})) as server:
        page = await follow(server, f"{PATH}?Page=1")
    assert page.next_page_uri is None


async def test_a_next_page_drops_what_is_older_if_it_is_told_since_when() -> None:
    async with Loopback(answer(200, {"messages": [log_entry()]})) as server:
        page = await follow(server, f"{PATH}?Page=1", since=SINCE + timedelta(minutes=1))
    assert page.entries == ()


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        PATH,
        f"{PATH}?",
        f"https://elsewhere.example{PATH}?Page=1",
        f"//elsewhere.example{PATH}?Page=1",
        f"@elsewhere.example{PATH}?Page=1",
        f"/2010-04-01/Accounts/AC{'1' * 32}/Messages.json?Page=1",
        f"/2010-04-01/Accounts/{SID}/../AC1/Messages.json?Page=1",
        f"/2010-04-01/Accounts/{SID}/%2e%2e/Messages.json?Page=1",
        f"/2010-04-01/Accounts/{SID}/Calls.json?Page=1",
        f"{PATH}/../Calls.json?Page=1",
        f"{PATH}?Page=1#part",
        f"{PATH}?Page=1 HTTP/1.1\r\nHost: elsewhere",
        f"\\\\elsewhere{PATH}?Page=1",
    ],
)
async def test_a_next_page_never_leads_away_from_the_account(uri: str) -> None:
    async with Loopback(answer(200, {"messages": []})) as server:
        with pytest.raises(UntrustedPage):
            await follow(server, uri)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer(401, {"code": 20003, "message": f"{TO}"}), "20003"),
        (answer(429, {"code": 20429, "message": "Too many"}), "20429"),
        (answer(404, {"code": 20404, "message": "not found"}), "20404"),
        (answer(404, b"<html>", {"Content-Type": "text/html"}), "gateway_404"),
        (answer(403, {"message": "Forbidden"}), "gateway_403"),
        (answer(500), "gateway_500"),
        (answer(204), "gateway_204"),
        (answer(200, b'{"messages": []}', {"Content-Type": "text/html"}), "unreadable"),
        (answer(200, b'{"messages": [', {"Content-Type": "application/json"}), "unreadable"),
        (answer(200, b"<html>"), "unreadable"),
        (answer(200, {"messages": None}), "unreadable"),
        (answer(200, []), "unreadable"),
        (loopback.never_answer, "no_answer"),
        (loopback.drip, "no_answer"),
        (loopback.cut_within_answer, "no_answer"),
    ],
)
async def test_a_log_that_cannot_be_read_raises_and_names_nobody(behaviour: loopback.Behaviour, code: str) -> None:
    async with Loopback(behaviour) as server:
        with pytest.raises(CarrierUnreadable) as caught:
            await read(server, to=TO, patience=1.0 if code == "no_answer" else 30.0)
    assert (caught.value.code, "3135550111" in str(caught.value)) == (code, False)


async def test_no_phone_number_of_a_query_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    quiet_libraries()
    async with Loopback(answer(200, {"messages": []})) as server:
        await read(server, to=TO)
    assert "3135550111" not in caplog.text


async def test_the_repr_of_a_page_names_nobody() -> None:
    shown = repr(await page_of(log_entry()))
    assert not any(private in shown for private in ("3135550111", "3135550100", "Hello"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(entries=st.lists(st.fixed_dictionaries(dict.fromkeys(log_entry(), JSON)) | JSON, max_size=5))
def test_whatever_the_log_holds_no_entry_fails_the_page(entries: list[object]) -> None:
    page = twilio._page({"messages": entries}, uri=None)
    assert len(page.entries) + page.unreadable == len(entries)
