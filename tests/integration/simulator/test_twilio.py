import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from libs.simulator.ledger import RANKS
from tests.integration.simulator.running import (
    ACCOUNT,
    ALICE,
    BOB,
    CAROL,
    FROM,
    LOG,
    SECRET,
    Simulator,
    application,
    eventually,
    simulator,
)


class Rewriting(AsyncHttpClient):
    """Takes Twilio's own client to the simulator."""

    def __init__(self, sim: Simulator) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._sim = sim

    async def request(  # type: ignore[override]
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109
        allow_redirects: bool = False,
    ) -> Response:
        path = uri.removeprefix("https://api.twilio.com")
        assert path != uri
        response = await self._sim.http.request(
            method, path, params=params or None, data=data or None, headers=headers, auth=auth
        )
        return Response(response.status_code, response.text, response.headers)


def client(sim: Simulator, token: str = SECRET) -> Any:
    return Client(ACCOUNT, token, http_client=Rewriting(sim))  # type: ignore[no-untyped-call]


async def test_twilios_own_client_sends_fetches_and_lists_over_pages() -> None:
    async with simulator() as sim:
        messages = client(sim).messages
        sent = [await messages.create_async(to=ALICE, from_=FROM, body=f"text {n}") for n in range(5)]
        fetched = await client(sim).messages(sent[0].sid).fetch_async()
        since = datetime.now(UTC) - timedelta(minutes=1)
        listed = await messages.list_async(from_=FROM, date_sent_after=since, page_size=2)
    assert (sent[0].status, sent[0].direction, sent[0].date_sent) == ("queued", "outbound-api", None)
    assert (fetched.status, fetched.body, fetched.error_code) == ("delivered", "text 0", None)
    assert fetched.date_sent.tzinfo is not None
    assert [message.sid for message in listed] == [message.sid for message in reversed(sent)]


async def test_twilios_own_client_reads_our_errors() -> None:
    async with simulator(plan={"numbers": {ALICE: "invalid", BOB: "landline"}}) as sim:
        for to, code in ((ALICE, 21211), (BOB, 21614), ("nonsense", 21211), ("", 21604)):
            with pytest.raises(TwilioRestException) as refused:
                await client(sim).messages.create_async(to=to, from_=FROM, body="x")
            assert (refused.value.status, refused.value.code) == (400, code)
        with pytest.raises(TwilioRestException) as refused:
            await client(sim, token="wrong").messages.create_async(to=CAROL, from_=FROM, body="x")
        assert (refused.value.status, refused.value.code) == (401, 20003)
        assert (await sim.control("GET", "/ledger"))["totals"]["accepted"] == 0


async def test_an_api_key_is_let_in_with_its_secret_alone() -> None:
    key = "SK" + "2" * 32
    async with simulator(twilio_api_key=key, twilio_api_key_secret="key-secret") as sim:
        form = {"To": CAROL, "From": FROM, "Body": "x"}
        answers = [
            await sim.http.post(LOG, data=form, auth=auth)
            for auth in ((key, "key-secret"), (ACCOUNT, SECRET), (key, SECRET), (key, ""), ("", ""))
        ]
    assert [answer.status_code for answer in answers] == [201, 201, 401, 401, 401]


async def test_after_stop_messages_are_refused_with_21610_until_start() -> None:
    async with simulator() as sim:
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "don't stop"})
        assert (await sim.twilio()).status_code == 201
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "STOP\n"})
        refused = await sim.twilio()
        assert (refused.status_code, refused.json()["code"]) == (400, 21610)
        assert (await sim.twilio(BOB)).status_code == 201
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "start"})
        assert (await sim.twilio()).status_code == 201


async def test_statuses_move_on_with_time_and_never_back() -> None:
    plan = {"delivery_delay": [0.05, 0.1], "numbers": {BOB: "unreachable"}}
    async with simulator(plan=plan) as sim:
        await sim.twilio(ALICE)
        await sim.twilio(BOB)
        messages = sim.network.ledger.messages
        await eventually(lambda: all(RANKS[message.status] == 4 for message in messages))
        logged = (await sim.log()).json()["messages"]
        assert not messages[0].move("sent", 0.0)
    for message in messages:
        ranks = [RANKS[status] for status, _ in message.history]
        assert ranks == sorted(set(ranks))
        assert [at for _, at in message.history] == sorted(at for _, at in message.history)
    assert (logged[1]["status"], logged[1]["error_code"]) == ("delivered", None)
    assert logged[0]["status"] == "undelivered"
    assert logged[0]["error_code"] in (30003, 30005, 30006)


async def test_dates_are_rfc_2822_in_utc() -> None:
    async with simulator() as sim:
        await sim.twilio()
        logged = (await sim.log()).json()["messages"][0]
    for name in ("date_created", "date_sent", "date_updated"):
        assert logged[name].endswith(" +0000")
        assert abs(parsedate_to_datetime(logged[name]) - datetime.now(UTC)) < timedelta(seconds=5)


async def test_the_log_is_filtered_by_numbers_and_days() -> None:
    today, day = datetime.now(UTC).date(), timedelta(days=1)
    async with simulator() as sim:
        await sim.twilio(ALICE, "to Alice")
        await sim.twilio(BOB, "to Bob")
        await sim.control("POST", "/inbound", {"from": BOB, "to": FROM, "body": "from Bob"})
        assert await sim.logged_bodies(To=ALICE) == ["to Alice"]
        assert await sim.logged_bodies(From=BOB) == ["from Bob"]
        assert len(await sim.logged_bodies(DateSent=str(today))) == 3
        assert await sim.logged_bodies(DateSent=str(today - day)) == []
        assert len(await sim.logged_bodies(**{"DateSent>": str(today)})) == 3
        assert await sim.logged_bodies(**{"DateSent>": str(today + day)}) == []
        assert len(await sim.logged_bodies(**{"DateSent<": str(today)})) == 3
        assert await sim.logged_bodies(**{"DateSent<": str(today - day)}) == []
        soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        assert await sim.logged_bodies(**{"DateSent>": soon}) == []
        assert (await sim.log(f"{LOG}?DateSent>={today}")).json()["messages"] != []
        assert (await sim.log(DateSent="yesterday")).status_code == 400


async def test_pages_end_with_null_and_new_messages_do_not_shift_them() -> None:
    async with simulator() as sim:
        for n in range(5):
            await sim.twilio(body=f"{n}")
        first = (await sim.log(PageSize="2")).json()
        await sim.twilio(body="new")
        second = (await sim.log(first["next_page_uri"])).json()
        last = (await sim.log(second["next_page_uri"])).json()
    bodies = [[entry["body"] for entry in page["messages"]] for page in (first, second, last)]
    assert bodies == [["4", "3"], ["2", "1"], ["0"]]
    assert last["next_page_uri"] is None
    assert (second["page"], second["start"], second["end"]) == (1, 2, 3)


@pytest.mark.parametrize("filters", [{}, {"To": ALICE}])
async def test_pages_may_shift_so_that_entries_come_twice(filters: dict[str, str]) -> None:
    async with simulator() as sim:
        for n in range(5):
            await sim.twilio(body=f"{n}")
        await sim.control("POST", "/faults", {"kind": "shift_pages", "entries": 1})
        assert await sim.logged_bodies(PageSize="2", **filters) == ["4", "3", "3", "2", "2", "1", "1", "0"]


@pytest.mark.parametrize("filters", [{}, {"To": ALICE}])
async def test_pages_may_skip_entries(filters: dict[str, str]) -> None:
    async with simulator() as sim:
        for n in range(5):
            await sim.twilio(body=f"{n}")
        await sim.control("POST", "/faults", {"kind": "skip_entries", "count": 1})
        assert await sim.logged_bodies(PageSize="2", **filters) == ["4", "3", "1", "0"]
        assert await sim.logged_bodies(PageSize="2", **filters) == ["4", "3", "2", "1", "0"]


async def test_status_reports_are_signed_and_name_the_message() -> None:
    async with application() as app, simulator(plan={"numbers": {ALICE: "unreachable"}}) as sim:
        url = app.url + "/webhooks/twilio/status?a=b"
        sid = (await sim.twilio(StatusCallback=url)).json()["sid"]
        await eventually(lambda: len(app.received) == 2)
    validator = RequestValidator(SECRET)  # type: ignore[no-untyped-call]
    for webhook in app.received:
        assert webhook.form["MessageSid"] == sid
        assert validator.validate(url, webhook.form, webhook.headers["x-twilio-signature"])  # type: ignore[no-untyped-call]
    reported = {webhook.form["MessageStatus"]: webhook.form.get("ErrorCode") for webhook in app.received}
    assert set(reported) == {"sent", "undelivered"}
    assert reported["sent"] is None
    assert reported["undelivered"] in ("30003", "30005", "30006")
    dated = {webhook.form["MessageStatus"]: webhook.form.get("RawDlrDoneDate") for webhook in app.received}
    assert dated["sent"] is None
    assert re.fullmatch(r"[0-9]{10}", dated["undelivered"] or "")


async def test_a_reply_has_all_the_fields_that_twilio_always_sends() -> None:
    """https://www.twilio.com/docs/messaging/guides/webhook-request."""
    async with application() as app, simulator(plan={"reply_via": "twilio"}) as sim:
        await sim.control("PUT", "/config", {"twilio_sms_webhook_url": app.url + "/sms"})
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "é" * 161})
        await eventually(lambda: len(app.received) == 1)
    form = app.received[0].form
    sid = form["MessageSid"]
    assert re.fullmatch(r"(SM|MM)[0-9a-f]{32}", sid)
    ends = {f"{end}{what}" for end in ("From", "To") for what in ("City", "State", "Zip", "Country")}
    assert set(form) == {
        "AccountSid", "ApiVersion", "Body", "From", "To", "MessageSid", "SmsMessageSid", "SmsSid", "SmsStatus",
        "NumMedia", "NumSegments", *ends,
    }  # fmt: skip
    assert (form["SmsSid"], form["SmsMessageSid"], form["NumSegments"]) == (sid, sid, "2")


async def test_a_webhook_that_is_not_taken_comes_again() -> None:
    async with application() as app, simulator(plan={"reply_via": "twilio"}) as sim:
        app.statuses = [500, 503]
        url = app.url + "/webhooks/twilio/sms"
        await sim.control("PUT", "/config", {"twilio_sms_webhook_url": url})
        message = await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "¿Qué? “$$” 😀 & more"})
        await eventually(lambda: sim.network.ledger.inbound[0].acknowledged_at is not None)
        deliveries = await sim.control("GET", "/webhooks")
    validator = RequestValidator(SECRET)  # type: ignore[no-untyped-call]
    assert len(app.received) == 3
    form = app.received[0].form
    assert (form["From"], form["To"], form["Body"], form["NumMedia"]) == (ALICE, FROM, "¿Qué? “$$” 😀 & more", "0")
    assert form["MessageSid"] == message["sid"]
    assert validator.validate(url, form, app.received[0].headers["x-twilio-signature"])  # type: ignore[no-untyped-call]
    assert (deliveries[0]["attempts"], deliveries[0]["status"]) == (3, 200)


async def test_nobody_at_the_webhooks_address_is_given_up_after_some_attempts() -> None:
    async with simulator(twilio_sms_webhook_url="http://127.0.0.1:9/", webhook_attempts=2) as sim:
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "hi"})
        deliveries = sim.network.webhooks.deliveries
        await eventually(lambda: deliveries[0].done_at is not None)
        assert (deliveries[0].attempts, deliveries[0].status) == (2, None)


async def test_the_accounts_concurrency_answers_20429() -> None:
    async with simulator(limits={"twilio_concurrent": 1}) as sim:
        await sim.control("POST", "/faults", {"kind": "slow", "seconds": 5, "count": 1})
        with pytest.raises(httpx.ReadTimeout):
            await sim.http.post(
                LOG,
                data={"To": ALICE, "From": FROM, "Body": "x"},
                auth=(ACCOUNT, SECRET),
                timeout=httpx.Timeout(60.0, read=0.1),
            )
        await eventually(lambda: sim.network.request_log.all[0].answered_at is not None)
        # Who has left is not counted any more.
        assert (await sim.twilio(BOB)).status_code == 201
        await sim.control("POST", "/faults", {"kind": "slow", "seconds": 2.0, "count": 1})
        both = await asyncio.gather(sim.twilio(CAROL), sim.twilio(CAROL))
    assert sorted(response.status_code for response in both) == [201, 429]
    assert next(response for response in both if response.status_code == 429).json()["code"] == 20429


async def test_the_account_says_which_numbers_are_its_own() -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"
    async with simulator(from_numbers=[FROM]) as sim:
        found = [(await sim.log(path, PhoneNumber=number)).json()["incoming_phone_numbers"] for number in (FROM, ALICE)]
    assert found == [[{"phone_number": FROM}], []]


@pytest.mark.parametrize("given", ["0", "36001", "ten", ""])
async def test_a_validity_period_that_cannot_be_is_refused(given: str) -> None:
    async with simulator() as sim:
        answer = await sim.twilio(ValidityPeriod=given)
        assert (answer.status_code, answer.json()["code"]) == (400, 21624)


async def test_what_is_not_sent_in_its_time_has_failed_and_does_not_arrive() -> None:
    async with simulator(plan={"delivery_delay": [10, 10]}) as sim:
        sid = (await sim.twilio(ValidityPeriod="1")).json()["sid"]
        message = sim.network.ledger.by_sid(sid)
        assert message is not None
        await eventually(lambda: message.status == "failed")
        assert message.error_code == 30036
        assert [status for status, _ in message.history] == ["accepted", "queued", "failed"]
