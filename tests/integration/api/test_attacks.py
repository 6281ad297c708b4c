"""What somebody who means harm sends: the threats of docs/security.md that no other test has."""

import hashlib
import hmac
from datetime import timedelta

import pytest

from services.api import app
from tests.integration.api import support
from tests.integration.api.support import KEY, MISSIVE_SECRET, NOW, OTHER_KEY, Api, incoming, wish

INJECTIONS = ("' OR '1'='1", "'; DROP TABLE contacts; --", "%s %(id)s {0} {settings.api_keys} ${HOME} %n", '"; --')


async def test_a_start_that_is_played_again_after_stop_lets_nobody_in(api: Api) -> None:
    number = await api.contact("made")
    start = incoming(number, "START", NOW, sid="SM-start")
    await api.missive(start)
    await api.missive(incoming(number, "STOP", NOW + timedelta(minutes=1), sid="SM-stop"))
    assert (await api.missive(start)).json() == {"recorded": False}
    assert await api.value("SELECT count(*) FROM opt_outs WHERE phone_number = %s", number) == 1


async def test_a_webhook_over_the_limit_is_refused_before_it_is_read(api: Api) -> None:
    raw = b" " * (app.LARGEST_BODY + 1)
    signature = "sha256=" + hmac.new(MISSIVE_SECRET.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"X-Hook-Signature": signature}
    for path in ("missive", "twilio/sms", "twilio/status"):
        assert (await api.client.post(f"/webhooks/{path}", content=raw, headers=headers)).status_code == 413, path


async def test_a_flood_of_unsigned_webhooks_never_asks_the_database() -> None:
    """The pool is not even opened: a connection that was asked for would wait, and answer 503."""
    async with support.lifespan_only(support.settings("postgresql://nobody@127.0.0.1:1/none")) as client:
        for path in ("missive", "twilio/sms", "twilio/status"):
            answers = [await client.post(f"/webhooks/{path}", content=b"{}") for _ in range(20)]
            assert {answer.status_code for answer in answers} == {403}, path


@pytest.mark.parametrize("text", INJECTIONS)
async def test_what_looks_like_sql_or_a_template_is_kept_and_sent_as_it_is(api: Api, text: str) -> None:
    number = await api.contact("made")
    contact = await api.contact_id(number)
    assert (await api.patch(f"/contacts/{contact}", {"name": text})).json()["name"] == text
    segment = await api.segment("made", name=text)
    broadcast = await api.broadcast(segment, first_message=text, second_message=text, recurring=False)
    found = (await api.post(f"/broadcasts/{broadcast}/send-now")).json()
    assert (found["first_message"], found["second_message"], found["recipients"]) == (text, text, 1)
    assert found["segments"][0]["name"] == text
    assert await api.value("SELECT count(*) FROM contacts") == 1


@pytest.mark.parametrize("text", INJECTIONS)
async def test_no_query_is_more_than_a_value(api: Api, text: str) -> None:
    await api.contact("made")
    for path, name in (("/contacts", "phone_number"), ("/contacts", "tag"), ("/contacts", "cursor")):
        answer = await api.get(path, params={name: text})
        assert answer.status_code in (200, 422)
        assert answer.status_code == 422 or answer.json()["items"] == []
    assert (await api.get("/broadcasts", params={"state": text})).status_code == 422


async def test_an_idempotency_key_gives_nobody_elses_answer_away(api: Api) -> None:
    headers = {"Idempotency-Key": "the same"}
    body = wish(await api.segment("made"))
    first = await api.post("/broadcasts", body, headers={**headers, "Authorization": f"Bearer {KEY}"})
    other = await api.post("/broadcasts", body, headers={**headers, "Authorization": f"Bearer {OTHER_KEY}"})
    again = await api.post("/broadcasts", body, headers={**headers, "Authorization": f"bearer {KEY}"})
    assert (first.status_code, other.status_code) == (201, 422)
    assert other.json()["type"] == "urn:broadsheet:problem:idempotency-key-reused"
    assert again.json() == first.json()


async def test_a_line_of_csv_without_an_end_is_refused(api: Api) -> None:
    raw = b"phone_number,name\n+13135550199," + b"a" * (2 * 1024 * 1024) + b"\n"
    answer = await api.client.post("/contacts/import", content=raw, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 422
    assert await api.value("SELECT count(*) FROM contacts") == 0


async def test_a_formula_in_an_import_stays_a_name_and_leaves_as_text(api: Api) -> None:
    raw = b'phone_number,name,tags\n+13135550199,"=HYPERLINK(""http://evil.example"")",made\n'
    await api.client.post("/contacts/import", content=raw, headers={"Content-Type": "text/csv"})
    broadcast = await api.broadcast(await api.segment("made"), recurring=False)
    await api.post(f"/broadcasts/{broadcast}/send-now")
    report = (await api.get(f"/broadcasts/{broadcast}/report.csv")).text
    assert "'=HYPERLINK" in report
    assert ",=HYPERLINK" not in report
    assert ',"=HYPERLINK' not in report
