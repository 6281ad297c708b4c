"""Imports: what a file says of consent holds, and a long one holds nobody up."""

import asyncio
import csv
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import QueuePool

from libs.common import database
from services.api import app
from services.api.contacts import imports, queries
from tests.integration.api import support
from tests.integration.api.support import NOW, Api, incoming
from tests.support import lateness
from tests.support.statements import replaced
from tests.support.workbooks import Rows, ods, xlsx

NUMBER = "+13135550001"


async def load(api: Api, text: str, **headers: str) -> httpx.Response:
    return await api.client.post(
        "/contacts/import", content=text.encode(), headers={"Content-Type": "text/csv", **headers}
    )


async def imported(api: Api, text: str) -> Any:
    answer = await load(api, text)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def drawn_from(api: Api) -> int:
    """Return how many would be drawn from a segment of everybody."""
    answer = await api.post("/segments", {"name": str(uuid4()), "filter": {"all": []}})
    return int((await api.get(f"/segments/{answer.json()['id']}/preview")).json()["count"])


async def test_who_opted_out_by_what_a_file_says_is_not_drawn_and_on_record(api: Api) -> None:
    """Fault 39: the column was passed over, and whoever had left was texted."""
    found = await imported(api, "phone_number,name,opted_out,city\n3135550001,Ana,true,Detroit\n3135550002,Bo,false,\n")
    assert (found["imported"], found["opted_out"], found["passed_over"]) == (2, 1, ["city"])
    assert await drawn_from(api) == 1
    assert await api.query("SELECT phone_number, source FROM opt_outs") == [{"phone_number": NUMBER, "source": "file"}]
    assert await api.query("SELECT wish, source, at FROM consent_records") == [
        {"wish": "stop", "source": "file", "at": NOW}
    ]
    contact = await api.contact_id(NUMBER)
    events = await api.query(
        "SELECT stream, version, type, data ->> 'source' AS source FROM events WHERE stream LIKE 'contact-%'"
    )
    assert events == [{"stream": f"contact-{contact}", "version": 1, "type": "OptedOut", "source": "file"}]
    assert (await api.get(f"/contacts/{contact}")).json()["opted_out"] is True


async def test_a_later_file_never_brings_back_who_left(api: Api) -> None:
    await imported(api, "phone,unsubscribed\n3135550001,yes\n")
    for again in ("phone\n3135550001\n", "phone,unsubscribed\n3135550001,no\n", "phone,subscribed\n3135550001,yes\n"):
        api.clock.forward(days=1)
        await imported(api, again)
        assert await drawn_from(api) == 0
    api.clock.forward(days=1)
    assert (await imported(api, "phone,unsubscribed\n3135550001,yes\n"))["opted_out"] == 0
    assert await api.value("SELECT count(*) FROM events WHERE type = 'OptedOut'") == 1


async def test_who_left_by_a_file_comes_back_by_their_own_word_alone(api: Api) -> None:
    await imported(api, "phone,status\n3135550001,Unsubscribed\n")
    early = incoming(NUMBER, "START", NOW, sid=f"SM{1:032}")
    early["message"]["delivered_at"] = int(NOW.timestamp()) - 3600
    await api.missive(early)
    assert await drawn_from(api) == 0
    api.clock.forward(minutes=5)
    await api.missive(incoming(NUMBER, "START", api.clock.now, sid=f"SM{2:032}"))
    assert await drawn_from(api) == 1


async def test_a_no_of_a_file_comes_after_all_that_is_on_record(api: Api) -> None:
    await imported(api, "phone\n3135550001\n")
    contact = await api.contact_id(NUMBER)
    for wanted in (True, False):
        await api.patch(f"/contacts/{contact}", {"opted_out": wanted})
    assert await drawn_from(api) == 1
    assert (await imported(api, "phone,do_not_text\n3135550001,x\n"))["opted_out"] == 1
    assert await drawn_from(api) == 0


async def test_who_said_stop_themselves_stays_on_record_as_that(api: Api) -> None:
    await api.missive(incoming(NUMBER, "STOP", NOW))
    await imported(api, "phone,opted_out\n3135550001,yes\n")
    assert await api.value("SELECT source FROM opt_outs") == "sms"


async def test_what_has_not_left_for_somebody_who_opted_out_by_a_file_never_will(api: Api) -> None:
    await api.made(2)
    number = await api.value("SELECT min(phone_number) FROM contacts")
    await imported(api, f"phone,opted_out\n{number},yes\n")
    rows = await api.query("SELECT recipient_phone_number = %s AS theirs, state, skip_reason FROM outgoing_messages"
                           " GROUP BY 1, 2, 3 ORDER BY 1", number)  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [(False, "pending", None), (True, "skipped", "opted_out")]


async def test_a_cell_that_is_neither_yes_nor_no_texts_nobody(api: Api) -> None:
    found = await imported(api, "phone,opted_out\n3135550001,maybe\n3135550002,\n")
    assert found["rejected"] == [
        {"line": 2, "reason": 'what is under "opted_out" can be read neither as a yes nor as a no'}
    ]
    assert await drawn_from(api) == 1


def long_file(people: int, start: int = 0, **columns: str) -> str:
    """Return a file that is read in a process of its own."""
    heading = ",".join(["phone", "name", "tags", *columns])
    cells = ",".join(["Some Body of Somewhere", "a;b", *columns.values()])
    text = "\n".join([heading, *(f"313{2_000_000 + start + n},{cells}" for n in range(people)), ""])
    assert len(text) > imports.SHORT
    return text


async def test_a_long_file_is_read_elsewhere_and_merged_whole(api: Api) -> None:
    people = 3000
    found = await imported(api, long_file(people, opted_out="yes"))
    assert (found["imported"], found["opted_out"]) == (people, people)
    assert (
        await api.value("SELECT count(*) FROM opt_outs JOIN contacts c ON c.id = contact_id WHERE c.tags = '{a,b}'")
        == people
    )
    assert await api.value("SELECT count(DISTINCT stream) FROM events WHERE type = 'OptedOut'") == people
    again = await imported(api, long_file(people, opted_out="no"))
    assert (again["unchanged"], again["opted_out"]) == (people, 0)
    assert await drawn_from(api) == 0


async def test_a_long_file_that_cannot_be_read_changes_nothing(api: Api) -> None:
    before = await api.counts()
    answer = await load(api, long_file(2000) + '3135550001,"open')
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
    assert await api.counts() == before


async def send(api: Api, path: str, raw: bytes, kind: str = "text/csv") -> httpx.Response:
    return await api.client.post(path, content=raw, headers={"Content-Type": kind})


@pytest.mark.parametrize("kind", [*imports.TEXTS, *imports.WORKBOOKS, *imports.ANYTHING])
async def test_a_file_is_read_as_what_it_is_whatever_it_is_called(api: Api, kind: str) -> None:
    rows: Rows = [["Phone", "Name", "Opted out"], [3135550001.0, "José", True], [3135550002.0, "Bo", False]]
    text = "Phone;Name;Opted out\r\n3135550001;José;x\r\n3135550002;Bo;\r\n"
    files = [xlsx({"Empty": [], "People": rows}), ods({"People": rows}), text.encode("utf-16"), text.encode("cp1252")]
    told = []
    for raw in files:
        answer = await send(api, "/contacts/import", raw, kind)
        assert answer.status_code == 200, answer.text
        told.append((answer.json()["sheet"], answer.json()["other_sheets"], answer.json()["encoding"]))
    assert told == [("People", ["Empty"], ""), ("People", [], ""), ("", [], "UTF-16"), ("", [], "Windows-1252")]
    assert await api.query("SELECT phone_number, name FROM contacts ORDER BY phone_number") == [
        {"phone_number": "+13135550001", "name": "José"}, {"phone_number": "+13135550002", "name": "Bo"}
    ]  # fmt: skip
    assert await api.column("SELECT phone_number FROM opt_outs") == [NUMBER]


async def test_a_workbook_that_takes_more_memory_than_there_is_gets_an_answer_and_ends_nothing_else(api: Api) -> None:
    cell = '<c r="{0}"><v>3135550001</v></c>'
    head = '<row r="1"><c r="A1" t="inlineStr"><is><t>phone</t></is></c></row>'
    wide = xlsx({"S": f'{head}<row r="1000000">{cell.format("XFD1000000")}</row>'})
    repeated = 'table:number-columns-repeated="16384" office:value-type="float" office:value="1"'
    tall = ods(
        {"S": f'<table:table-row table:number-rows-repeated="1000000"><table:table-cell {repeated}/></table:table-row>'}
    )
    told: list[str] = []
    for raw in (wide, tall):
        async with asyncio.timeout(120):
            answer = await send(api, "/contacts/import", raw)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
        told.append(answer.json()["detail"])
    assert "takes too much memory" in told[0]
    assert "damaged workbook" in told[1], "the library itself refuses so many cells"
    assert (await imported(api, "phone\n3135550001\n"))["imported"] == 1


async def test_a_trial_lists_every_line_that_would_be_rejected_and_changes_nothing(api: Api) -> None:
    before = await api.counts()
    bad = "".join(f"=cmd{n},Ana\n" for n in range(1500))
    raw = f'phone,name\n3135550001,Ana\n{bad}"313-555-01 \t{"9" * 60}",Bo\n'.encode()
    trial = (await send(api, "/contacts/import/check", raw)).json()
    assert (trial["people"], trial["rejected_count"], len(trial["rejected"])) == (1, 1501, 1000)
    answer = await send(api, "/contacts/import/rejected.csv", raw)
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.reader(answer.text.splitlines()))
    assert lines[0] == ["line", "reason", "phone_number"]
    assert [line[0] for line in lines[1:]] == [str(n) for n in range(3, 1504)]
    assert lines[1] == ["3", "not a phone number: letters are not digits", "'=cmd0"]
    assert lines[-1][2] == f"313-555-01 \t{'9' * 28}", "no more than the beginning of what is there"
    assert "Ana" not in answer.text
    assert await api.counts() == before
    assert (await send(api, "/contacts/import/rejected.csv", b"%PDF-1.7")).status_code == 422


async def test_columns_become_attributes_if_somebody_asks_and_are_taken_back(api: Api) -> None:
    raw = b"phone,Ward,Member,Time zone,Language\n3135550001,5,yes,America/Denver,es\n3135550002,,no,,\n"
    assert (await send(api, "/contacts/import", raw)).json()["passed_over"] == ["Ward", "Member"]
    told = (await send(api, "/contacts/import/check?attributes=true", raw)).json()
    assert told["attributes"] == {"ward": "number", "member": "yes/no"}
    answer = (await send(api, "/contacts/import?attributes=true", raw)).json()
    assert (answer["updated"], answer["attributes"], answer["passed_over"]) == (2, told["attributes"], [])
    known = "SELECT attributes, time_zone, language FROM contacts ORDER BY phone_number"
    assert await api.query(known) == [
        {"attributes": {"ward": 5, "member": True}, "time_zone": "America/Denver", "language": "es"},
        {"attributes": {"member": False}, "time_zone": None, "language": None},
    ]
    await api.post(f"/contacts/imports/{answer['import_id']}/undo")
    assert [row["attributes"] for row in await api.query(known)] == [{}, {}]


async def test_imports_are_listed_with_how_far_they_came(api: Api) -> None:
    for name in ("a.csv", ""):
        answer = await api.client.post(
            "/contacts/import", params={"file_name": name}, content=b"phone\n3135550001\nx\n",
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        assert answer.status_code == 200
    first = (await api.get("/contacts/imports?limit=1")).json()
    newest = first["items"][0]
    assert (newest["state"], newest["file_name"], newest["people"], newest["done"], newest["imported"]) == (
        "done",
        "",
        1,
        1,
        0,
    )
    rest = (await api.get(f"/contacts/imports?limit=1&cursor={first['next_cursor']}")).json()
    assert [each["file_name"] for each in rest["items"]] == ["a.csv"]
    assert rest["next_cursor"] is None


async def test_a_file_that_breaks_off_changes_nothing(api: Api) -> None:
    before = await api.counts()

    async def broken() -> AsyncIterator[bytes]:
        yield b"phone\n3135550001\n"
        raise OSError("the file changed")

    with suppress(OSError, httpx.HTTPError):
        answer = await api.client.post(
            "/contacts/import", content=broken(), headers={"Content-Type": "text/csv", "Content-Length": "100"}
        )
        assert not answer.is_success
    assert await api.counts() == before


async def test_a_file_of_empty_lines_is_answered_clearly(api: Api) -> None:
    for head in ("", "phone\n"):
        answer = await load(api, head + "\n" * 5_000_000)
        assert answer.status_code == 422
        assert "empty lines" in answer.json()["detail"]


async def test_a_request_that_comes_again_is_not_read_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await load(api, "phone\n3135550001\n", **headers)

    async def read(*_: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(imports, "read", read)
    again = await load(api, "phone\n3135550001\n", **headers)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await load(api, "phone\n3135550002\n", **headers)
    assert other.json()["type"].endswith("idempotency-key-reused")


async def test_more_imports_than_there_are_places_are_told_when_to_come_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "IMPORTS", 1)
    monkeypatch.setattr(app, "IMPORTS_IN_LINE", 0)
    async with support.running(support.settings(database_url)) as api:
        answers = await asyncio.gather(*(load(api, long_file(3000, start=n * 3000)) for n in range(4)))
        assert {answer.status_code for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["type"].endswith("too-busy")
        assert int(refused.headers["Retry-After"]) > 0
        assert await api.value("SELECT count(*) FROM contacts") == 3000 * sum(
            answer.status_code == 200 for answer in answers
        )


async def test_a_stop_needs_no_connection_of_those_who_import_or_look(api: Api) -> None:
    async with AsyncExitStack() as taken:
        for engine in (api.context.engine, api.context.imports):
            for _ in range(cast("QueuePool", engine.pool).size()):
                await taken.enter_async_context(database.transaction(engine))
        form = {"MessageSid": f"SM{1:032}", "From": NUMBER, "To": support.FROM, "Body": "STOP", "NumMedia": "0"}
        async with asyncio.timeout(14):  # seconds; a pool is waited for for fifteen
            told = [
                await api.twilio("/webhooks/twilio/sms", form),
                await api.missive(incoming("+13135550002", "STOP", NOW)),
            ]
    assert [answer.status_code for answer in told] == [200, 200]
    assert await api.value("SELECT count(*) FROM opt_outs") == 2


async def test_who_says_stop_waits_for_one_slice_of_a_file_that_brings_them_and_not_for_all_of_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "SLICE", 1)
    slow = replaced(queries.MERGE, ("FROM merged m JOIN given g", "FROM pg_sleep(1), merged m JOIN given g"))
    monkeypatch.setattr(queries, "MERGE", slow)
    loading = asyncio.create_task(load(api, "phone\n" + "".join(f"313555000{n}\n" for n in range(1, 9))))
    while await api.value("SELECT count(*) FROM contacts") == 0:  # noqa: ASYNC110 - it is another process that works
        await asyncio.sleep(0.01)
    await stop(api, 1, "+13135550002")
    assert not loading.done()
    assert (await loading).status_code == 200


async def test_ten_imports_at_once_delay_no_stop(api: Api) -> None:
    """Seven of ten ended in 500, and STOPs waited for 22 seconds."""
    usual = [await stop(api, 10**6 + n, f"+1313{9_000_000 + n}") for n in range(20)]
    people = 6000
    files = [long_file(people, start=n * people) for n in range(10)]
    loading = [asyncio.create_task(load(api, text)) for text in files]
    took = []
    sent = 0
    with lateness.measured() as late:
        while not all(task.done() for task in loading):
            number = f"+1313{2_000_000 + (sent * 997) % (10 * people)}"  # people whom the files are just bringing
            took.append(await stop(api, sent, number))
            sent += 1
            await asyncio.sleep(0.02)
    answers = [task.result() for task in loading]
    # On a machine that is busy with other things some may have waited for a minute, and come again.
    assert {answer.status_code for answer in answers} <= {200, 429}
    whole = sum(answer.status_code == 200 for answer in answers)
    assert whole >= 2
    assert await api.value("SELECT count(*) FROM contacts WHERE tags <> '{}'") == whole * people
    assert await api.value("SELECT count(*) FROM opt_outs") == sent + len(usual)
    assert sent > 20
    took.sort()
    assert took[int(len(took) * 0.99) - 1] < 1.0 + 3 * max(usual) + late.worst, (max(usual), late, sent, took[-5:])


async def stop(api: Api, number: int, sender: str) -> float:
    """Have somebody say STOP, and return how long the answer took, in seconds."""
    began = time.monotonic()
    answer = await api.missive(incoming(sender, "STOP", NOW, sid=f"SM{number:032}"))
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began
