"""What became of a broadcast: messages, events, report, CSV and the live stream."""

import asyncio
import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from services.api.broadcasts import progress
from tests.integration.api.support import NOW, Api, incoming


async def follow(api: Api, path: str) -> list[dict[str, Any]]:
    pages, cursor = [], None
    while True:
        answer = await api.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        pages += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages


async def halfway(api: Api) -> int:
    """Make a broadcast of four: two messages delivered, one refused, one still to be settled; one reply, one STOP."""
    broadcast = await api.made(4)
    ids = [row["id"] for row in await api.query("SELECT id FROM outgoing_messages WHERE NOT is_second ORDER BY id")]
    for place, (id_, state) in enumerate(zip(ids, ("accepted", "accepted", "refused", "uncertain"), strict=True)):
        await api.query("UPDATE outgoing_messages SET state = %s, attempts = 1, attempt_started_at = %s WHERE id = %s",
                        state, NOW + timedelta(seconds=2 * place), id_)  # fmt: skip
        if state != "uncertain":
            await api.query(
                "INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome,"
                " twilio_id, twilio_sent_status, twilio_error_code) VALUES (%s, %s, false, %s, %s, %s, %s)",
                id_, broadcast, state, f"SM{id_}", "delivered" if state == "accepted" else None,
                "21610" if state == "refused" else None,
            )  # fmt: skip
    numbers = {row["id"]: row["n"] for row in await api.query(
        "SELECT id, recipient_phone_number AS n FROM outgoing_messages WHERE NOT is_second")}  # fmt: skip
    api.clock.forward(seconds=60)
    await api.missive(incoming(numbers[ids[0]], "hi", api.clock.now, sid="SM-a"))
    await api.missive(incoming(numbers[ids[0]], "again", api.clock.now, sid="SM-b"))
    await api.missive(incoming(numbers[ids[1]], "STOP", api.clock.now, sid="SM-c"))
    return broadcast


async def test_the_report_adds_up(api: Api) -> None:
    broadcast = await halfway(api)
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    first, second = report["first"]["ledger"], report["second"]["ledger"]
    assert first == {
        "planned": 4, "accepted": 2, "refused": {"21610": 1}, "skipped": {}, "uncertain": 1, "undecided": 0,
        "not_handed_over": 0,
    }  # fmt: skip
    assert second == {
        "planned": 4, "accepted": 0, "refused": {}, "skipped": {"replied": 2}, "uncertain": 0, "undecided": 2,
        "not_handed_over": 0,
    }  # fmt: skip
    assert report["ledger"]["planned"] == 8
    assert report["statuses"] == {"delivered": 2}
    assert (report["delivered"], report["undelivered"], report["replies"], report["opt_outs"]) == (2, 0, 2, 1)
    assert report["first"]["pace"] == {
        "started": 4,
        "first_started_at": "2026-03-04T15:00:00Z",
        "last_started_at": "2026-03-04T15:00:06Z",
        "rate": 0.5,
    }
    assert report["second"]["pace"]["rate"] is None
    assert (report["state"], report["recipients"], report["allowed_rate"]) == ("sending_first", 4, 1.0)


async def test_the_rate_of_a_broadcast_that_was_paused_leaves_the_pause_out(api: Api) -> None:
    broadcast = await api.made(4)
    ids = [row["id"] for row in await api.query("SELECT id FROM outgoing_messages WHERE NOT is_second ORDER BY id")]
    api.clock.forward(seconds=2)
    assert (await api.post(f"/broadcasts/{broadcast}/pause")).status_code == 200
    api.clock.forward(hours=1)
    assert (await api.post(f"/broadcasts/{broadcast}/resume")).status_code == 200
    for id_, seconds in zip(ids, (0, 2, 3602, 3606), strict=True):
        await api.query(
            "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s WHERE id = %s",
            NOW + timedelta(seconds=seconds), id_,
        )  # fmt: skip
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert report["first"]["pace"]["rate"] == 0.5


async def test_messages_that_were_taken_and_not_delivered_are_in_the_report_by_code(api: Api) -> None:
    broadcast = await api.made(4)
    await api.sent(broadcast)
    for place, (status, code) in enumerate(
        (("undelivered", "30007"), ("failed", "30007"), ("undelivered", None), ("delivered", None))
    ):
        await api.query(
            "UPDATE broadcast_sent_message_status SET twilio_sent_status = %s, twilio_error_code = %s"
            " WHERE twilio_id = (SELECT twilio_id FROM broadcast_sent_message_status ORDER BY twilio_id"
            " OFFSET %s LIMIT 1)",
            status, code, place,
        )  # fmt: skip
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert report["undelivered_codes"] == {"30007": 2, "unknown": 1}
    assert report["undelivered"] == 3


async def test_what_a_segment_lacked_is_in_the_report(api: Api) -> None:
    """Fault 3: a segment was left short of its share, and nobody heard of it."""
    broadcast = await api.made(3, max_recipients=10)
    segments = (await api.get(f"/broadcasts/{broadcast}/report")).json()["segments"]
    assert [(item["quota"], item["drawn"], item["shortfall"]) for item in segments] == [(10, 3, 7)]


async def test_a_message_that_was_never_looked_up_is_unknown_not_delivered(api: Api) -> None:
    """Fault 30: the default status was `delivered`, which hid everything that was never matched."""
    broadcast = await api.made(2)
    await api.sent(broadcast)
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert (report["statuses"], report["delivered"]) == ({"unknown": 2}, 0)


async def test_the_report_of_a_broadcast_that_was_not_made_is_empty(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert (report["ledger"]["planned"], report["recipients"]) == (0, None)
    assert report["segments"][0]["shortfall"] is None


async def test_the_messages_are_listed_person_by_person_both_messages_of_each(api: Api) -> None:
    """Fault 2: first and second message went to different people."""
    broadcast = await halfway(api)
    messages = await follow(api, f"/broadcasts/{broadcast}/messages")
    people = [row["id"] for row in await api.query("SELECT id FROM contacts ORDER BY id")]
    assert [(item["contact_id"], item["is_second"]) for item in messages] == [
        (contact, is_second) for contact in people for is_second in (False, True)
    ]
    refused = (await api.get(f"/broadcasts/{broadcast}/messages?state=refused")).json()["items"]
    assert [item["twilio_error_code"] for item in refused] == ["21610"]
    seconds = (await api.get(f"/broadcasts/{broadcast}/messages?isSecond=true")).json()["items"]
    assert len(seconds) == 4


async def test_the_events_are_listed_oldest_first_with_neither_number_nor_message_of_anybody(api: Api) -> None:
    broadcast = await halfway(api)
    events = await follow(api, f"/broadcasts/{broadcast}/events")
    types = [event["type"] for event in events]
    assert types[0] == "BroadcastScheduled"
    assert {"BroadcastMade", "RecipientsDrawn", "ReplyReceived", "MessagesSkipped", "OptedOut"} <= set(types)
    assert sorted(event["position"] for event in events) == [event["position"] for event in events]
    assert "+1313" not in json.dumps(events)
    assert "again" not in json.dumps(events)


async def test_the_csv_has_a_line_a_message_and_no_formula(api: Api) -> None:
    broadcast = await halfway(api)
    await api.query("UPDATE contacts SET name = '=HYPERLINK(\"http://evil\";\"x\"), \"q\"'"
                    " WHERE id = (SELECT min(id) FROM contacts)")  # fmt: skip
    answer = await api.get(f"/broadcasts/{broadcast}/report.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "\r\n" in answer.text
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 8
    assert rows[0]["name"] == '\'=HYPERLINK("http://evil";"x"), "q"'
    assert rows[0]["phone_number"].startswith("+1313555")
    assert rows[0]["is_second"] == "false"


async def test_the_csv_says_in_words_what_became_of_each_message(api: Api) -> None:
    broadcast = await halfway(api)
    answer = await api.get(f"/broadcasts/{broadcast}/report.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    [refused] = [row for row in rows if row["state"] == "refused"]
    assert refused["what_became_of_it"] == "They told the phone company to stop our texts"
    assert refused["what_to_do"] == "They can write START to our number to get texts again."
    replied = [row for row in rows if row["skip_reason"] == "replied"]
    assert {(row["what_became_of_it"], row["what_to_do"]) for row in replied} == {("No follow-up: they replied", "")}


async def test_the_outcomes_say_in_words_what_became_of_the_messages_what_went_wrong_first(api: Api) -> None:
    broadcast = await halfway(api)
    found = (await api.get(f"/broadcasts/{broadcast}/outcomes")).json()
    assert [found["first"][name] for name in ("planned", "delivered", "no_word")] == [4, 2, 1]
    assert [(each["kind"], each["code"], each["messages"]) for each in found["first"]["outcomes"]] == [
        ("failed", "21610", 1), ("unknown", None, 1), ("delivered", None, 2)
    ]  # fmt: skip
    assert found["first"]["outcomes"][0]["sentence"] == "They told the phone company to stop our texts"
    assert sum(each["messages"] for each in found["second"]["outcomes"]) == found["second"]["planned"] == 4


async def test_the_csv_goes_on_over_more_messages_than_are_read_at_once(api: Api) -> None:
    await api.query("INSERT INTO contacts (phone_number, tags) SELECT '+1313' || 5000000 + n, '{made}'"
                    " FROM generate_series(1, 1203) n")  # fmt: skip
    broadcast = await api.made(0, max_recipients=5000)
    answer = await api.get(f"/broadcasts/{broadcast}/report.csv")
    assert answer.text.count("\r\n") == 1 + 2406


def snapshots(text: str) -> list[dict[str, Any]]:
    blocks = [block.split("\r\n") for block in text.split("\r\n\r\n") if block]
    assert all(lines[0].startswith("id: ") and lines[1] == "event: progress" for lines in blocks)
    return [json.loads(lines[2].removeprefix("data: ")) for lines in blocks]


async def test_the_stream_tells_each_change_and_ends_when_the_broadcast_has(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = progress.read
    accepted: list[int] = []

    async def recorded(*arguments: Any) -> progress.Figures:
        figures = await read(*arguments)
        accepted.append(figures.progress.first.accepted)
        return figures

    monkeypatch.setattr(progress, "read", recorded)

    async def told(sent: int) -> None:
        while sent not in accepted:  # noqa: ASYNC110 - the stream looks again and again
            await asyncio.sleep(0.01)

    broadcast = await api.made(2)
    watching = asyncio.create_task(api.get(f"/broadcasts/{broadcast}/stream"))
    await told(0)
    await api.sent(broadcast)
    await told(2)
    await api.post(f"/broadcasts/{broadcast}/cancel")
    answer = await asyncio.wait_for(watching, 90)
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = snapshots(answer.text)
    assert [(item["state"], item["first"]["pending"], item["first"]["accepted"]) for item in seen] == [
        ("sending_first", 2, 0), ("sending_first", 0, 2), ("cancelled", 0, 2)
    ]  # fmt: skip
    assert seen[-1]["second"]["skipped"] == 2


async def test_the_stream_of_a_broadcast_that_is_over_is_one_snapshot(api: Api) -> None:
    broadcast = await api.broadcast(recurring=False)
    await api.post(f"/broadcasts/{broadcast}/cancel")
    answer = await api.get(f"/broadcasts/{broadcast}/stream")
    assert [item["state"] for item in snapshots(answer.text)] == ["cancelled"]
    version = answer.text.partition("\r\n")[0].removeprefix("id: ")
    again = await api.get(f"/broadcasts/{broadcast}/stream", headers={"Last-Event-ID": version})
    assert snapshots(again.text) == []
