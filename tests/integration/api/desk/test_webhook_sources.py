"""When webhooks were last taken and refused: noted by the process, written down by it, said on Today."""

from datetime import datetime, timedelta

import pytest

from libs.common import database
from services.api.webhooks import sources
from services.api.webhooks.sources import Noted, Source
from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import NOW, Api, incoming

SAID = "What comes from Missive (replies) is refused since"


async def written(api: Api) -> Source:
    await api.context.webhook_sources.write(api.engine)
    async with database.transaction(api.engine) as connection:
        [found] = await sources.everything(connection)
    return found


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


async def test_what_is_refused_is_said_on_today_until_one_is_taken(api: Api, editor: Browser) -> None:
    number = await api.contact("made")
    await api.missive(incoming(number, "Hello", NOW))
    api.clock.forward(minutes=1)
    for _ in range(2):
        assert (await api.missive(incoming(number, "Hello", NOW), secret="wrong")).status_code == 403
        api.clock.forward(minutes=1)
    assert await written(api) == Source("missive", NOW, at(2), at(1))
    assert SAID in (await editor.get("/desk")).text
    await api.missive(incoming(number, "Again", NOW, sid="SM2"))
    assert await written(api) == Source("missive", at(3), at(2))
    assert SAID not in (await editor.get("/desk")).text


async def test_what_was_refused_long_ago_is_no_news(api: Api, editor: Browser) -> None:
    await api.client.post("/webhooks/missive", content=b"{}")
    await written(api)
    api.clock.forward(days=2)
    assert SAID not in (await editor.get("/desk")).text


@pytest.mark.parametrize("first_writes_first", [True, False])
async def test_of_two_processes_either_may_write_first(api: Api, *, first_writes_first: bool) -> None:
    one, other = Noted(), Noted()
    one.refused("twilio_sms", at(0))
    other.took("twilio_sms", at(1))
    other.refused("twilio_sms", at(2))
    for each in (one, other) if first_writes_first else (other, one):
        await each.write(api.engine)
    async with database.transaction(api.engine) as connection:
        assert await sources.everything(connection) == [Source("twilio_sms", at(1), at(2), at(2))]


async def test_what_cannot_be_written_is_kept(api: Api) -> None:
    noted = Noted()
    noted.took("missive", at(0))
    nowhere = database.create_engine("postgresql://nobody@127.0.0.1:1/none", size=1)
    async with database.disposing(nowhere):
        with pytest.raises(database.DatabaseError):
            await noted.write(nowhere)
    await noted.write(api.engine)
    async with database.transaction(api.engine) as connection:
        assert await sources.everything(connection) == [Source("missive", at(0))]


async def test_an_answer_nobody_knows_about_is_a_person_s_after_a_quarter_of_an_hour(api: Api, editor: Browser) -> None:
    number = await api.contact("made")
    await api.missive(incoming(number, "Hello", NOW))
    reply = await api.value("SELECT id FROM replies")
    await api.query("INSERT INTO sending_numbers (phone_number) VALUES ('+13135550100') ON CONFLICT DO NOTHING")
    await api.query(
        "INSERT INTO single_messages (request_id, purpose, phone_number, reply_id, sending_number_id, body, asked_at,"
        " asked_by, state, attempts, attempt_started_at) SELECT gen_random_uuid(), 'answer', %s, %s, min(id), 'Yes',"
        " %s, 'user:1', 'uncertain', 1, %s FROM sending_numbers",
        number, reply, NOW, NOW,
    )  # fmt: skip
    said = "Of an answer to a reply nobody knows whether it arrived."
    assert said not in (await editor.get("/desk")).text
    api.clock.forward(minutes=20)
    page = (await editor.get("/desk")).text
    assert said in page
    assert f'href="/desk/replies/{reply}"' in page
