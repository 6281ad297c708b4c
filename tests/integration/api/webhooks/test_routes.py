"""Replies and delivery reports."""

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.carriers import clock_records
from libs.common.carriers.clocks import Meter
from tests.integration.api import support
from tests.integration.api.support import FROM, NOW, Api, incoming
from tests.support import servers


async def sent_to(api: Api, contacts: int = 1) -> tuple[int, list[str]]:
    """Make a broadcast whose first messages have left; return it with the numbers that got them."""
    broadcast = await api.made(contacts)
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    rows = await api.query("SELECT phone_number FROM contacts ORDER BY id")
    return broadcast, [row["phone_number"] for row in rows]


async def second_texts(api: Api) -> list[tuple[str, str | None]]:
    rows = await api.query("SELECT state, skip_reason FROM outgoing_messages WHERE is_second ORDER BY contact_id")
    return [(row["state"], row["skip_reason"]) for row in rows]


SKIPPED, PENDING = ("skipped", "replied"), ("pending", None)


async def test_a_recipient_who_replied_gets_no_second_message(api: Api) -> None:
    """Fault 24: replies during the first phase were not counted."""
    broadcast, numbers = await sent_to(api, 2)
    answer = await api.missive(incoming(numbers[0], "Yes, I'm coming!", api.clock.now))
    assert (answer.status_code, answer.json()) == (200, {"recorded": True})
    assert await second_texts(api) == [SKIPPED, PENDING]
    assert await api.query("SELECT broadcast_id, body FROM replies") == [
        {"broadcast_id": broadcast, "body": "Yes, I'm coming!"}
    ]


async def test_a_reply_by_way_of_twilio_counts_as_well_and_is_answered_with_nothing(api: Api) -> None:
    _, numbers = await sent_to(api)
    form = {"From": numbers[0], "To": FROM, "Body": "¿Qué? 🎉", "MessageSid": "SM9"}
    answer = await api.twilio("/webhooks/twilio/sms", form)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text.endswith("<Response/>")
    assert await second_texts(api) == [SKIPPED]
    assert await api.value("SELECT body FROM replies") == "¿Qué? 🎉"


async def test_a_webhook_that_is_tried_again_or_told_by_both_carriers_is_one_reply(api: Api) -> None:
    """Fault 27: retries of a webhook failed on the primary key."""
    _, numbers = await sent_to(api)
    payload = incoming(numbers[0], "hello", api.clock.now, sid="SM9")
    answers = [await api.missive(payload), await api.missive(payload)]
    again = {"From": numbers[0], "Body": "hello", "MessageSid": "SM9"}
    answers.append(await api.twilio("/webhooks/twilio/sms", again))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert await api.value("SELECT count(*) FROM replies") == 1
    assert await api.value("SELECT count(*) FROM events WHERE type = 'ReplyReceived'") == 1


async def test_a_reply_within_the_second_of_its_message_stops_the_follow_up(api: Api) -> None:
    """Fault 25: Missive tells whole seconds, which lie before the message that was answered."""
    api.clock.now = NOW + timedelta(seconds=0.9)
    broadcast = await api.made(1)
    await api.sent(broadcast)
    api.clock.forward(seconds=0.05)
    await api.missive(incoming(await api.value("SELECT phone_number FROM contacts"), "quick", api.clock.now))
    assert await second_texts(api) == [SKIPPED]


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("ahead", [-40.0, -2.0, -1.0, 0.0, 1.0, 2.0, 40.0])
async def test_a_reply_at_once_counts_for_the_message_that_it_answers_by_whatever_clock_it_is_told(
    api: Api, ahead: float, *, measured: bool
) -> None:
    """Fault 35: by a clock 2 s behind it came before its message, counted for yesterday's, and the follow-up left.

    Nobody measures Missive's where messages go by Twilio.
    """
    yesterday, [number] = await sent_to(api)
    api.clock.forward(days=1)
    segment = await api.value("SELECT id FROM audience_segments")
    today = await api.broadcast(segment)
    await api.post(f"/broadcasts/{today}/send-now")
    meter = Meter(api.clock)
    date = format_datetime((api.clock.now + timedelta(seconds=ahead)).replace(microsecond=0), usegmt=True)
    meter.note({"Content-Type": "application/json", "Date": date}, api.clock.now)
    if measured:
        async with database.transaction(api.engine) as connection:
            await clock_records.share(connection, "missive", meter, api.clock.now)
    await api.sent(today)
    api.clock.forward(seconds=0.4)
    written = api.clock.now + timedelta(seconds=ahead)
    await api.missive(incoming(number, "quick", written))
    assert await api.value("SELECT broadcast_id FROM replies") == today
    second = "SELECT state FROM outgoing_messages WHERE broadcast_id = %s AND is_second"
    assert await api.value(second, today) == "skipped"
    assert yesterday != today


async def test_a_reply_that_comes_before_the_sent_messages_row_stops_the_follow_up(api: Api) -> None:
    """Fault 25: a reply that came before the sent message's row was written did not stop the second message."""
    broadcast = await api.made(1)
    await api.query("UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = %s"
                    " WHERE NOT is_second", NOW)  # fmt: skip
    api.clock.forward(seconds=1)
    await api.missive(incoming(await api.value("SELECT phone_number FROM contacts"), "quick", api.clock.now))
    assert await second_texts(api) == [SKIPPED]
    assert await api.value("SELECT broadcast_id FROM replies") == broadcast


async def test_a_reply_is_credited_to_the_broadcast_that_was_answered_not_to_a_later_one(api: Api) -> None:
    """Fault 28: replies were credited to the wrong broadcast."""
    first, numbers = await sent_to(api)
    written = api.clock.now
    api.clock.forward(minutes=10)
    segment = await api.value("SELECT id FROM audience_segments")
    second = await api.broadcast(segment)
    await api.post(f"/broadcasts/{second}/send-now")
    await api.sent(second)
    api.clock.forward(minutes=1)
    await api.missive(incoming(numbers[0], "late delivery of the webhook", written))
    assert await api.value("SELECT broadcast_id FROM replies") == first


@pytest.mark.parametrize("kind", ["incoming_sms", "incoming_twilio_message", "whatever_it_is_called_next"])
async def test_an_incoming_message_is_known_by_its_fields_not_by_the_rules_name(api: Api, kind: str) -> None:
    """Fault 27: the provider renamed a rule type and replies went unhandled."""
    _, numbers = await sent_to(api)
    answer = await api.missive(incoming(numbers[0], "hi", api.clock.now, kind=kind))
    assert answer.json() == {"recorded": True}


@pytest.mark.parametrize(
    "payload",
    [
        {}, [], None, "x", 5, {"message": []}, {"message": {"id": "m"}}, {"message": {"from_field": {}}},
        {"message": {"id": "m", "delivered_at": 5, "from_field": {"phone_number": None}}},
        {"rule": {"type": "label_change"}, "latest_message": {"id": "m", "from_field": {"address": "a@example.org"}}},
        {"rule": {"type": "outgoing_email"}, "message": {"id": "m", "from_field": {"address": "us@example.org"}}},
    ],
)  # fmt: skip
async def test_a_webhook_that_tells_of_something_else_is_taken_and_changes_nothing(api: Api, payload: Any) -> None:
    before = await api.counts()
    answer = await api.missive(payload)
    assert (answer.status_code, answer.json()) == (200, {"recorded": False})
    assert await api.counts() == before


async def test_what_we_send_ourselves_is_no_reply(api: Api) -> None:
    await sent_to(api)
    assert (await api.missive(incoming(FROM, "It's free", api.clock.now))).json() == {"recorded": False}
    assert await api.value("SELECT count(*) FROM replies") == 0


async def test_no_stop_is_dropped_because_of_who_it_comes_from(api: Api) -> None:
    """What looks like a number of ours gets the consent part all the same, whoever tells of it."""
    for n, tell in enumerate(
        (incoming(FROM, "STOP", api.clock.now, sid="SM-own"), incoming(FROM, "hi", api.clock.now))
    ):
        assert (await api.missive(tell)).json() == {"recorded": False}, n
    form = {"From": support.OTHER_FROM, "Body": "fin", "MessageSid": "SM-word", "OptOutType": "STOP"}
    await api.twilio("/webhooks/twilio/sms", form)
    assert await api.query("SELECT phone_number, source FROM opt_outs ORDER BY phone_number") == [
        {"phone_number": FROM, "source": "sms"}, {"phone_number": support.OTHER_FROM, "source": "carrier"}
    ]  # fmt: skip
    assert await api.value("SELECT count(*) FROM replies") == 0


async def test_a_number_that_a_broadcast_was_once_to_be_sent_from_is_heard(api: Api) -> None:
    """A reader's number that somebody had typed as `from_number` once was deaf to STOP for ever."""
    number = await api.contact("made")
    broadcast = await api.broadcast(await api.segment("made"))
    for answer in (
        await api.post("/broadcasts", support.wish(from_number=number)),
        await api.patch(f"/broadcasts/{broadcast}", {"from_number": number}),
    ):
        assert answer.status_code == 422
        assert "BROADSHEET_NUMBERS" in answer.json()["detail"]
    await api.query("INSERT INTO sending_numbers (phone_number) VALUES (%s)", number)  # by an older release
    await api.missive(incoming(number, "STOP", api.clock.now))
    assert await api.column("SELECT phone_number FROM opt_outs") == [number]
    assert (await api.get(f"/segments/{await api.segment('made', name='again')}/preview")).json()["count"] == 0


async def test_stop_takes_out_all_that_has_not_left_and_start_lets_in_again(api: Api) -> None:
    """Fault 26: STOP did nothing for months."""
    _, numbers = await sent_to(api)
    await api.missive(incoming(numbers[0], " Stop. ", api.clock.now))
    assert await api.value("SELECT count(*) FROM opt_outs") == 1
    assert await second_texts(api) == [SKIPPED]
    contact = (await api.get("/contacts")).json()["items"][0]
    assert contact["opted_out"] is True
    api.clock.forward(seconds=5)
    await api.missive(incoming(numbers[0], "START", api.clock.now, sid="SM2"))
    assert (await api.get(f"/contacts/{contact['id']}")).json()["opted_out"] is False


@pytest.mark.parametrize("body", ["don't stop", "please do not STOP now", "restart", "nonstop"])
async def test_a_word_inside_a_sentence_is_no_wish(api: Api, body: str) -> None:
    """Fault 26: STOP was matched as a substring."""
    _, numbers = await sent_to(api)
    await api.missive(incoming(numbers[0], body, api.clock.now))
    assert await api.value("SELECT count(*) FROM opt_outs") == 0
    assert await api.value("SELECT review FROM replies") is None


async def test_stop_before_any_message_keeps_a_stranger_out_of_every_draw(api: Api) -> None:
    await api.missive(incoming("+13135559999", "STOP", api.clock.now))
    assert await api.value("SELECT phone_number FROM opt_outs") == "+13135559999"
    assert (await api.get(f"/segments/{await api.segment()}/preview")).json()["count"] == 0


async def test_twilios_word_for_an_opt_out_counts_where_its_keyword_is_the_accounts_own(api: Api) -> None:
    number = await api.contact()
    form = {"From": number, "Body": "no more please", "MessageSid": "SM5", "OptOutType": "STOP"}
    await api.twilio("/webhooks/twilio/sms", form)
    assert await api.query("SELECT source FROM opt_outs") == [{"source": "carrier"}]


async def test_twilios_word_for_an_opt_out_counts_if_missive_told_of_the_message_first(api: Api) -> None:
    number = await api.contact()
    await api.missive(incoming(number, "no more please", api.clock.now, sid="SM5"))
    assert await api.value("SELECT review FROM replies") == "waiting"
    form = {"From": number, "Body": "no more please", "MessageSid": "SM5", "OptOutType": "STOP"}
    await api.twilio("/webhooks/twilio/sms", form)
    assert await api.query("SELECT source FROM opt_outs") == [{"source": "carrier"}]
    assert await api.value("SELECT review FROM replies") is None


async def test_a_stop_that_the_carrier_tells_again_does_not_undo_a_start(api: Api) -> None:
    number = await api.contact()
    stop = {"From": number, "Body": "STOP", "MessageSid": "SM1", "OptOutType": "STOP"}
    start = {"From": number, "Body": "START", "MessageSid": "SM2", "OptOutType": "START"}
    for form in (stop, start, stop, start, stop):
        api.clock.forward(seconds=10)
        await api.twilio("/webhooks/twilio/sms", form)
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


@pytest.mark.parametrize("first", ["missive", "twilio"])
async def test_a_yes_counts_by_the_carriers_word_whoever_tells_of_it_first(api: Api, first: str) -> None:
    number = await api.contact()
    await api.missive(incoming(number, "STOP", api.clock.now, sid="SM1"))
    said = incoming(number, "Yes", api.clock.now + timedelta(seconds=30), sid="SM2")
    form = {"From": number, "Body": "Yes", "MessageSid": "SM2", "OptOutType": "START"}
    api.clock.forward(minutes=1)
    for told in sorted(("missive", "twilio"), key=lambda each: each != first):
        api.clock.forward(seconds=1)
        await (api.missive(said) if told == "missive" else api.twilio("/webhooks/twilio/sms", form))
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


async def test_a_signed_start_that_is_cut_elsewhere_is_no_new_message(api: Api) -> None:
    """Twilio's signature joins names and values: an id that took the next field along has the same one."""
    number = await api.contact()
    start = {"From": number, "Body": "START", "MessageSid": "SM1", "OptOutType": "START"}
    signed = await api.twilio("/webhooks/twilio/sms", start)
    api.clock.forward(seconds=10)
    await api.missive(incoming(number, "STOP", api.clock.now, sid="SM2"))
    whole = support.always_sent("/webhooks/twilio/sms", start)
    cut = {**whole, "MessageSid": whole["MessageSid"] + "NumMedia" + whole["NumMedia"]}
    del cut["NumMedia"]
    before = await api.counts()
    again = await api.twilio("/webhooks/twilio/sms", cut, is_whole=True)
    assert again.request.headers["x-twilio-signature"] == signed.request.headers["x-twilio-signature"]
    assert (again.status_code, again.json()["type"]) == (400, "urn:broadsheet:problem:malformed-body")
    assert await api.counts() == before


@pytest.mark.parametrize("path", ["sms", "status"])
async def test_a_form_of_another_account_of_ours_is_refused(api: Api, path: str) -> None:
    form = {"From": await api.contact(), "Body": "STOP", "AccountSid": "AC" + "0" * 32}
    answer = await api.twilio(f"/webhooks/twilio/{path}", form)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:broadsheet:problem:bad-signature")


@pytest.mark.parametrize("sid", ["SM1", "SM" + "0" * 33, "x" * 20_000, "SM\x00"])
async def test_a_delivery_report_of_an_id_that_is_none_is_refused(api: Api, sid: str) -> None:
    form = {**support.always_sent("/status", {}), "MessageSid": sid}
    assert (await api.twilio("/webhooks/twilio/status", form, is_whole=True)).status_code == 400


@pytest.mark.parametrize("channel", ["whatsapp", "rcs"])
async def test_what_is_no_sms_is_no_reply_to_a_broadcast_and_its_stop_counts(api: Api, channel: str) -> None:
    _, numbers = await sent_to(api)
    form = {"From": f"{channel}:{numbers[0]}", "Body": "hello", "MessageSid": "SM1"}
    await api.twilio("/webhooks/twilio/sms", form)
    assert await api.query("SELECT channel, phone_number, broadcast_id FROM replies") == [
        {"channel": channel, "phone_number": numbers[0], "broadcast_id": None}
    ]
    assert await second_texts(api) == [PENDING]
    await api.twilio("/webhooks/twilio/sms", {**form, "Body": "STOP", "MessageSid": "SM2"})
    assert await api.value("SELECT count(*) FROM opt_outs") == 1
    api.clock.forward(seconds=10)
    await api.twilio("/webhooks/twilio/sms", {**form, "Body": "START", "MessageSid": "SM3", "OptOutType": "START"})
    assert await api.value("SELECT count(*) FROM opt_outs") == 1, "a yes to texts is a text"


async def test_an_email_that_asks_for_a_stop_is_for_a_person_to_look_at(api: Api) -> None:
    email = {"id": "m", "type": "email", "preview": "STOP", "from_field": {"address": "ann@example.org"}}
    for _ in range(2):
        await api.missive({"rule": {"type": "incoming_email"}, "message": email})
    assert await api.query("SELECT channel, sender, phone_number, review, review_reason FROM replies") == [
        {"channel": "email", "sender": "ann@example.org", "phone_number": None, "review": "waiting",
         "review_reason": "stop_without_number"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [{"body": "<div>STOP</div>"}, {"delivered_at": None}, {"delivered_at": "yesterday"}, {"external_id": 17},
     {"preview": "STOP", "body": None}, {"created_at": None, "delivered_at": None, "external_id": None, "id": None}],
)  # fmt: skip
async def test_a_stop_is_heard_however_missive_tells_of_it(api: Api, fields: dict[str, Any]) -> None:
    payload = incoming(await api.contact(), "STOP", api.clock.now)
    payload["message"] |= fields
    assert (await api.missive(payload)).json() == {"recorded": True}
    assert (await api.missive(payload)).json() == {"recorded": False}
    assert await api.value("SELECT count(*) FROM opt_outs") == 1


async def test_half_a_character_costs_the_character_and_not_the_reply(api: Api) -> None:
    payload = incoming(await api.contact(), "STOP", api.clock.now)
    raw = json.dumps(payload).replace('"STOP"', '"STOP \\ud83d"').encode()
    assert (await api.missive(raw)).json() == {"recorded": True}
    assert await api.value("SELECT body FROM replies") == "STOP ?"
    assert await api.value("SELECT count(*) FROM opt_outs") == 1


@pytest.mark.parametrize("way", ["unsigned", "other secret", "other body", "other account", "other address"])
async def test_a_webhook_whose_signature_does_not_fit_is_refused_and_changes_nothing(api: Api, way: str) -> None:
    _, numbers = await sent_to(api)
    before = await api.counts()
    payload, form = incoming(numbers[0], "STOP", NOW), {"From": numbers[0], "Body": "STOP", "MessageSid": "SM1"}
    match way:
        case "unsigned":
            answers = [await api.client.post(f"/webhooks/{path}", content=b"{}", headers={"Authorization": ""})
                       for path in ("missive", "twilio/sms", "twilio/status")]  # fmt: skip
        case "other secret":
            answers = [await api.missive(payload, secret="another")]
        case "other body":
            signed = await api.missive(incoming("+13135559998", "hi", NOW))
            signature = signed.request.headers["x-hook-signature"]
            before = await api.counts()
            answers = [
                await api.client.post("/webhooks/missive", json=payload, headers={"X-Hook-Signature": signature})
            ]
        case "other account":
            answers = [await api.twilio(f"/webhooks/twilio/{path}", form, token="x") for path in ("sms", "status")]
        case _:
            right = await api.twilio("/webhooks/twilio/status", {"MessageSid": "SM0"})
            signature = right.request.headers["x-twilio-signature"]
            headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
            answers = [await api.client.post("/webhooks/twilio/sms", content=right.request.content, headers=headers)]
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:broadsheet:problem:bad-signature")
    assert await api.counts() == before


async def test_without_a_secret_every_webhook_is_refused(database_url: str) -> None:
    configuration = support.settings(database_url, missive_webhook_secret="", twilio_auth_token="")
    async with support.running(configuration) as api:
        answers = [
            await api.missive(incoming("+13135550001", "hi", NOW), secret=""),
            await api.twilio("/webhooks/twilio/sms", {"From": "+13135550001", "MessageSid": "SM1"}, token=""),
            await api.twilio("/webhooks/twilio/status", {"MessageSid": "SM1"}, token=""),
        ]
    assert [answer.status_code for answer in answers] == [403] * 3


async def test_the_query_of_the_address_is_signed_too(api: Api) -> None:
    number = await api.contact()
    answer = await api.twilio("/webhooks/twilio/sms?tenant=a%20b", {"From": number, "Body": "x", "MessageSid": "SM1"})
    assert answer.status_code == 200


async def test_a_body_that_is_signed_but_no_json_is_malformed(api: Api) -> None:
    answer = await api.missive(b"{")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:broadsheet:problem:malformed-body")


async def test_a_reply_is_asked_for_again_while_the_database_does_not_take_it(database_url: str) -> None:
    """Fault 27: the webhook said 200 when the database had timed out, so the reply was lost."""
    async with support.running(support.settings(database_url)) as api:
        _, numbers = await sent_to(api)
        payload = incoming(numbers[0], "hello", api.clock.now)
        name = str(psycopg.conninfo.conninfo_to_dict(database_url)["dbname"])
        set_read_only(name, "on")

        refused = await api.missive(payload)

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["type"] == "urn:broadsheet:problem:unavailable"
        set_read_only(name, "off")
        assert (await api.missive(payload)).json() == {"recorded": True}


def set_read_only(database: str, value: str) -> None:
    """Have a database refuse, or take, writes; its connections are ended, since they keep what held when they began."""
    with psycopg.connect(servers.server_url(), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = {value}')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))


async def test_many_webhooks_at_once_all_count_and_none_waits_for_ever(api: Api) -> None:
    """Fault 27: concurrent webhooks dead-locked on shared parent rows."""
    _, numbers = await sent_to(api, 12)
    payloads = [
        incoming(number, body, api.clock.now, sid=f"SM{n}-{m}")
        for n, number in enumerate(numbers)
        for m, body in enumerate(("hello", "STOP", "what?"))
    ]
    answers = await asyncio.gather(*(api.missive(payload) for payload in payloads))
    assert {answer.status_code for answer in answers} == {200}
    assert await api.value("SELECT count(*) FROM replies") == 36
    assert await api.value("SELECT count(*) FROM opt_outs") == 12
    assert set(await second_texts(api)) == {SKIPPED}


async def test_a_webhook_that_lost_a_deadlock_is_tried_again_here(api: Api) -> None:
    """Fault 27, where it cannot be ruled out: two transactions that lock the same rows the other way round."""
    _, numbers = await sent_to(api)
    async with database.transaction(api.engine) as connection:
        await connection.execute(text("SELECT 1 FROM outgoing_messages WHERE is_second FOR UPDATE"))
        waiting = asyncio.create_task(api.missive(incoming(numbers[0], "hello", api.clock.now)))
        await api.until_somebody_waits()
        # The webhook holds the head of the replies' stream and waits for the message.
        await connection.execute(text("SELECT 1 FROM streams WHERE stream LIKE '%-replies' FOR UPDATE"))
    assert (await waiting).status_code == 200
    assert await second_texts(api) == [SKIPPED]


async def status(api: Api, sid: str, word: str, **fields: str) -> int:
    answer = await api.twilio("/webhooks/twilio/status", {"MessageSid": sid, "MessageStatus": word, **fields})
    return answer.status_code


async def test_a_delivery_report_never_takes_a_status_back(api: Api) -> None:
    """Fault 32: a late `sent` overwrote `delivered`."""
    await sent_to(api)
    sid = await api.value("SELECT twilio_id FROM broadcast_sent_message_status")
    seen = []
    for word in ("queued", "delivered", "sent", "undelivered", "a-new-word"):
        assert await status(api, sid, word) == 204
        seen.append(await api.value("SELECT twilio_sent_status FROM broadcast_sent_message_status"))
    assert seen == ["queued", "delivered", "delivered", "delivered", "delivered"]
    assert await api.value("SELECT count(*) FROM events WHERE type = 'StatusesSynced'") == 2


async def test_a_delivery_report_in_capitals_is_delivered(api: Api) -> None:
    broadcast = await api.made(1)
    await api.sent(broadcast)
    sid = await api.value("SELECT twilio_id FROM broadcast_sent_message_status")
    assert await status(api, sid, "Delivered") == 204
    assert await api.query("SELECT twilio_sent_status AS status, settled FROM broadcast_sent_message_status") == [
        {"status": "delivered", "settled": True}
    ]
    assert (await api.get(f"/broadcasts/{broadcast}/report")).json()["delivered"] == 1


async def test_a_delivery_report_tells_the_carriers_code(api: Api) -> None:
    await sent_to(api)
    sid = await api.value("SELECT twilio_id FROM broadcast_sent_message_status")
    await status(api, sid, "undelivered", ErrorCode="30003")
    assert await api.query("SELECT twilio_sent_status, twilio_error_code FROM broadcast_sent_message_status") == [
        {"twilio_sent_status": "undelivered", "twilio_error_code": "30003"}
    ]


async def test_a_delivery_report_of_an_unknown_message_is_left_to_the_sync(api: Api) -> None:
    await sent_to(api)
    before = await api.counts()
    assert await status(api, "SMunknown", "delivered") == 204
    assert await api.counts() == before


async def test_a_report_leaves_the_page_alone_that_the_sync_is_at(api: Api) -> None:
    broadcast, _ = await sent_to(api)
    await api.query("UPDATE broadcasts SET twilio_paging = '/page/2' WHERE id = %s", broadcast)
    await status(api, await api.value("SELECT twilio_id FROM broadcast_sent_message_status"), "delivered")
    assert await api.value("SELECT twilio_paging FROM broadcasts WHERE id = %s", broadcast) == "/page/2"


async def test_reports_that_the_carriers_filter_a_broadcast_pause_it(api: Api) -> None:
    broadcast, _ = await sent_to(api, 6)
    sids = [row["twilio_id"] for row in await api.query("SELECT twilio_id FROM broadcast_sent_message_status")]
    states = []
    for sid in sids:
        await status(api, sid, "undelivered", ErrorCode="30007")
        states.append(await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast))
    assert states == [*["sending_first"] * 4, "paused", "paused"]
    assert await api.value("SELECT pause_reason FROM broadcasts WHERE id = %s", broadcast) == "30007"


async def test_a_broadcast_that_staff_resumed_is_paused_again_only_for_what_left_since(api: Api) -> None:
    broadcast, _ = await sent_to(api, 14)
    sids = [row["twilio_id"] for row in await api.query("SELECT twilio_id FROM broadcast_sent_message_status")]
    for sid in sids[:5]:
        await status(api, sid, "undelivered", ErrorCode="30007")
    assert (await api.post(f"/broadcasts/{broadcast}/resume")).json()["state"] == "sending_first"
    for sid in sids[5:8]:
        await status(api, sid, "undelivered", ErrorCode="30007")
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "sending_first"
    await api.query("UPDATE outgoing_messages SET attempt_started_at = %s WHERE NOT is_second", api.clock.now)
    await status(api, sids[8], "undelivered", ErrorCode="30007")
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "paused"
