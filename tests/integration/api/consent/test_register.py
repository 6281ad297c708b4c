"""The consent register: who said what, in which words, when, and who put it on record; and as a file for an auditor."""

import csv
import hashlib
import hmac
import json
from typing import Any

import pytest

from libs.common.domain.roles import Role
from services.api.http import csv_export
from tests.integration.api import support
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import KEY, NOW, Api, incoming
from tests.integration.api.test_import import imported

NUMBER = "+13135550142"
HASH_KEY = "a key for the hashes"


async def records(api: Api) -> list[tuple[Any, ...]]:
    """Return what is on record, in its order."""
    rows = await api.query("SELECT wish, source, words, note, actor FROM consent_records ORDER BY at, record")
    return [tuple(row.values()) for row in rows]


async def lines(api: Api, query: str = "") -> list[dict[str, str]]:
    answer = await api.get(f"/consent/export.csv{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(answer.text.splitlines()))


async def test_a_reply_has_its_words_and_its_carrier(api: Api) -> None:
    await api.missive(incoming(NUMBER, "Stop please", NOW, sid="one"))
    api.clock.forward(seconds=5)
    await api.twilio("/webhooks/twilio/sms", {"MessageSid": "two", "From": NUMBER, "Body": "START"})
    assert await records(api) == [
        ("stop", "sms", "Stop please", "", "carrier:missive"),
        ("start", "sms", "START", "", "carrier:twilio"),
    ]


async def test_who_reported_a_message_first_stays_on_record(api: Api) -> None:
    await api.twilio("/webhooks/twilio/sms", {"MessageSid": "one", "From": NUMBER, "Body": "STOP"})
    await api.missive(incoming(NUMBER, "STOP", NOW, sid="one"))
    assert await records(api) == [("stop", "sms", "STOP", "", "carrier:twilio")]


async def test_what_twilio_took_for_a_stop_has_the_words_that_it_was(api: Api) -> None:
    form = {"MessageSid": "one", "From": NUMBER, "Body": "Adios amigos", "OptOutType": "STOP"}
    await api.twilio("/webhooks/twilio/sms", form)
    assert await records(api) == [("stop", "carrier", "Adios amigos", "", "carrier:twilio")]


async def test_code_21610_is_on_record_as_that(api: Api) -> None:
    await api.sent(await api.made(1))
    sid = str(await api.value("SELECT twilio_id FROM broadcast_sent_message_status"))
    form = {"MessageSid": sid, "MessageStatus": "failed", "ErrorCode": "21610"}
    await api.twilio("/webhooks/twilio/status", form)
    assert await records(api) == [("stop", "carrier", "", "code 21610", "carrier:twilio")]


async def test_staff_are_named_at_the_desk_by_a_key_and_at_the_command_line(api: Api) -> None:
    contact = await api.contact_id(await api.contact())
    async with signed_in(api) as browser:
        page = f"/desk/people/{contact}"
        await browser.submit(f"{page}/opt-out", page, reason="Called us")
        user_id = browser.user_id
    api.clock.forward(seconds=5)
    await api.patch(f"/contacts/{contact}", {"opted_out": False, "reason": "Wrote again"})
    api.clock.forward(seconds=5)
    who = {"Authorization": f"Bearer {KEY}", "Broadsheet-User": "ana"}
    await api.client.patch(f"/contacts/{contact}", json={"opted_out": True}, headers=who)
    assert await records(api) == [
        ("stop", "staff", "", "Called us", f"user:{user_id}"),
        ("start", "staff", "", "Wrote again", "key:settings"),
        ("stop", "staff", "", "", "console:ana"),
    ]


async def test_each_file_that_says_no_is_on_record_with_its_import(api: Api) -> None:
    for first in (True, False):
        await imported(api, f"phone_number,opted_out,x\n{NUMBER},yes,{first}\n")
        api.clock.forward(seconds=5)
    assert await records(api) == [
        ("stop", "file", "", "import 1", "key:settings"),
        ("stop", "file", "", "import 2", "key:settings"),
    ]


async def test_of_who_was_erased_with_an_opt_out_there_is_that_alone_and_who_erased_them(api: Api) -> None:
    await api.missive(incoming(NUMBER, "I am Ana Diaz", NOW, sid="one"))
    erased = await api.client.delete("/contacts", params={"phone_number": NUMBER, "opt_out": True})
    assert erased.status_code == 204
    assert await records(api) == []
    [line] = await lines(api)
    assert (line["phone_number"], line["said"], line["source"]) == (NUMBER, "opt_out", "staff")
    assert (line["words"], line["note"], line["actor"], line["contact_id"]) == ("", "", "key:settings", "")
    assert line["opted_out_now"] == "true"


async def test_an_opt_out_outlives_erasure_and_a_later_import(api: Api) -> None:
    await api.missive(incoming(NUMBER, "STOP", NOW, sid="one"))
    contact = await api.contact_id(NUMBER)
    assert (await api.client.delete(f"/contacts/{contact}")).status_code == 204
    assert await api.value("SELECT phone_number FROM contacts WHERE id = %s", contact) is None
    await imported(api, f"phone_number,name\n{NUMBER},Ana\n")
    segment = await api.segment(name="everybody")
    assert (await api.get(f"/segments/{segment}/preview")).json()["count"] == 0
    assert [line["opted_out_now"] for line in await lines(api)] == ["true"]


async def test_a_restored_carrier_code_after_a_start_does_not_take_the_place_of_the_first(api: Api) -> None:
    await api.sent(await api.made(1))
    sid = str(await api.value("SELECT twilio_id FROM broadcast_sent_message_status"))
    number = str(await api.value("SELECT phone_number FROM contacts"))
    for status in ("undelivered", "failed"):
        form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": "21610"}
        await api.twilio("/webhooks/twilio/status", form)
        api.clock.forward(seconds=5)
    await api.missive(incoming(number, "START", api.clock.now, sid="one"))
    api.clock.forward(seconds=5)
    await api.patch(f"/contacts/{await api.contact_id(number)}", {"opted_out": True})
    assert [(row[0], row[1]) for row in await records(api)] == [
        ("stop", "carrier"), ("start", "sms"), ("stop", "staff"),
    ]  # fmt: skip


async def test_the_register_is_exported_by_number_and_time_and_the_export_is_on_record(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "LINES", 2)
    for n, (number, body) in enumerate([(NUMBER, "STOP"), ("+13135550111", "STOP"), (NUMBER, "START")]):
        await api.missive(incoming(number, body, api.clock.now, sid=f"message {n}"))
        api.clock.forward(seconds=5)
    await api.client.delete("/contacts", params={"phone_number": "+13135550111"})
    said = [(line["phone_number"], line["said"], line["words"], line["opted_out_now"]) for line in await lines(api)]
    assert said == [
        ("+13135550111", "opt_out", "", "true"),
        (NUMBER, "opt_out", "STOP", "false"),
        (NUMBER, "opt_in", "START", "false"),
    ]
    answer = await api.get("/consent/export.jsonl")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"] == 'attachment; filename="consent.jsonl"'
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [(each["phone_number"], each["said"]) for each in found] == [each[:2] for each in said]
    assert found[1]["contact_id"] == await api.contact_id(NUMBER)
    audit = (await api.get("/audit")).json()["items"]
    taken = [(each["type"], each["data"], each["actor"]) for each in audit if each["subject"] == "consent"]
    assert taken == [("ConsentExported", {"form": form, "hashed": False}, "key:settings") for form in ("jsonl", "csv")]


async def test_no_line_is_a_formula(api: Api) -> None:
    await api.twilio(
        "/webhooks/twilio/sms",
        {"MessageSid": "one", "From": NUMBER, "Body": "=HYPERLINK(1)", "OptOutType": "STOP"},
    )
    [line] = await lines(api)
    assert line["words"] == "'=HYPERLINK(1)"


async def test_without_numbers_each_is_its_keyed_hash(emptied: str) -> None:
    async with support.running(support.settings(emptied, consent_hash_key=HASH_KEY)) as api:
        await api.missive(incoming(NUMBER, "STOP", NOW, sid="one"))
        answer = await api.get("/consent/export.csv?numbers=hashed")
        assert NUMBER not in answer.text
        [line] = csv.DictReader(answer.text.splitlines())
        assert line["number_hash"] == hmac.new(HASH_KEY.encode(), NUMBER.encode(), hashlib.sha256).hexdigest()


async def test_without_a_key_there_is_no_hash(api: Api) -> None:
    answer = await api.get("/consent/export.csv?numbers=hashed")
    assert answer.status_code == 409
    assert "BROADSHEET_CONSENT_HASH_KEY" in answer.text


@pytest.mark.parametrize("scopes", [["read", "write", "send"], ["admin"], ["consent"]])
async def test_the_export_takes_a_right_of_its_own(api: Api, scopes: list[str]) -> None:
    made = (await api.post("/keys", {"name": "auditor", "scopes": scopes})).json()
    answer = await api.get("/consent/export.csv", headers={"Authorization": f"Bearer {made['secret']}"})
    assert answer.status_code == (200 if "consent" in scopes else 403)


@pytest.mark.parametrize("role", list(Role))
async def test_an_admin_takes_it_at_the_desk(api: Api, role: Role) -> None:
    await api.missive(incoming(NUMBER, "STOP", NOW, sid="one"))
    async with signed_in(api, role) as browser:
        page = await browser.get("/desk/settings/consent")
        taken = await browser.get("/desk/settings/consent/export.csv")
        overview = (await browser.get("/desk/settings")).text
    may = role is Role.ADMIN
    assert (page.status_code, taken.status_code) == ((200, 200) if may else (403, 403))
    assert (NUMBER in taken.text) == may
    assert ("/desk/settings/consent" in overview) == may
