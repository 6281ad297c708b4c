"""All of the log since a time: whole, or not at all."""

import itertools
from datetime import datetime, timedelta

import httpx
import pytest

from libs.common.carriers import message_log
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.twilio import LogEntry
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, FROM, NOW

ANN, BEN = "+13135550001", "+13135550002"
MINUTE = timedelta(minutes=1)


def sids(entries: tuple[LogEntry, ...]) -> set[str]:
    return {entry.sid for entry in entries}


async def read(log: TwilioLog, since: datetime = NOW) -> message_log.WholeLog:
    return await message_log.read(log.twilio(), [FROM], since)


async def test_messages_and_replies_are_told_apart_and_what_is_older_is_left_out() -> None:
    log = TwilioLog()
    log.add("SM0", ANN, FIRST, NOW - MINUTE)
    log.add("SM1", ANN, FIRST, NOW + MINUTE)
    log.reply("SM2", BEN, "STOP", NOW + 2 * MINUTE)
    log.add("SM3", BEN, FIRST, NOW + MINUTE, from_number="+13135550199")
    found = await read(log)
    assert (sids(found.outbound), sids(found.inbound)) == ({"SM1"}, {"SM2"})


async def test_a_number_that_texts_itself_has_one_entry_in_each_direction() -> None:
    log = TwilioLog()
    log.add("SM1", FROM, FIRST, NOW + MINUTE)
    log.reply("SM2", FROM, FIRST, NOW + MINUTE)
    found = await read(log)
    assert (sids(found.outbound), sids(found.inbound)) == ({"SM1"}, {"SM2"})


async def test_an_entry_without_a_day_of_sending_is_found() -> None:
    """Twilio's filter by `DateSent` would leave out what is still queued."""
    log = TwilioLog()
    log.add("SM1", ANN, FIRST, NOW + MINUTE, status="queued")
    log.set("SM1", date_sent=None)
    assert sids((await read(log)).outbound) == {"SM1"}
    assert not any("DateSent" in key for url in log.asked for key in url.params)


async def test_pages_that_shift_while_they_are_read_hide_nothing() -> None:
    log = TwilioLog()
    for n in range(2500):
        log.add(f"SM{n:05}", ANN, FIRST, NOW + timedelta(seconds=n))
    pages = iter(range(2))

    def more() -> None:
        if (page := next(pages, None)) is not None:
            for n in range(20):
                log.add(f"SMX{page}{n:02}", BEN, FIRST, NOW + timedelta(hours=1, seconds=n))

    log.between = more
    assert len((await read(log)).outbound) == 2500 + 2 * 20


async def test_a_log_that_never_comes_to_rest_is_not_taken_for_whole() -> None:
    log = TwilioLog()
    count = itertools.count()

    def more() -> None:
        log.add(f"SM{next(count):05}", ANN, FIRST, NOW + MINUTE)

    for _ in range(1001):  # more than a page holds
        more()
    log.between = more
    with pytest.raises(CarrierUnreadable):
        await read(log)


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_page_that_cannot_be_had_spoils_it_all(at: int) -> None:
    log = TwilioLog()
    for n in range(2500):
        log.add(f"SM{n:05}", ANN, FIRST, NOW + timedelta(seconds=n))
    pages = iter(range(at - 1, -1, -1))

    def fail() -> None:
        if next(pages, None) == 0:
            log.failures.append(httpx.Response(500))

    log.between = fail
    if at == 0:
        log.failures.append(httpx.Response(500))
    with pytest.raises(CarrierUnreadable):
        await read(log)


async def test_a_log_of_one_page_is_read_once() -> None:
    log = TwilioLog()
    log.add("SM1", ANN, FIRST, NOW + MINUTE)
    assert len(await message_log.read_between(log.twilio(), NOW, from_number=FROM, to=ANN)) == 1
    assert len(log.asked) == 1
