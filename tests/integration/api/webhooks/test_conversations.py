"""What staff do in Missive: labels that are tags, `#unsubscribe`, conversations that are merged."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api import support
from tests.integration.api.support import FROM, Api, incoming

ANA, BEN = "+13135550101", "+13135550102"


@pytest.fixture
async def labels(emptied: str) -> AsyncIterator[Api]:
    """An API for which some labels are tags."""
    followed = ("volunteer", "Zürich/Nord", "bad,one!")
    async with support.running(support.settings(emptied, missive_labels_as_tags=followed)) as running:
        yield running


def labelled(*labels: str, number: str = ANA, conversation: str = "c-1", **message: Any) -> dict[str, Any]:
    """Return what Missive sends when labels of a conversation change."""
    return {
        "rule": {"id": "rule", "type": "label_change"},
        "conversation": {
            "id": conversation,
            "authors": [{"name": "Newsroom", "phone_number": FROM}, {"name": "Ana", "phone_number": number}],
            "shared_labels": [{"id": f"id-{label}", "name": label} for label in labels],
        },
        **({"latest_message": message} if message else {}),
    }


def commented(api: Api, body: str, *, comment: str = "k-1", author: str = "Kim Park") -> dict[str, Any]:
    """Return what Missive sends when a colleague writes a comment beside a conversation."""
    return {
        "rule": {"id": "rule", "type": "new_comment"},
        "conversation": {"id": "c-1", "authors": [{"name": "Ana", "phone_number": ANA}], "shared_labels": []},
        "comment": {
            "id": comment,
            "body": body,
            "created_at": int(api.clock.now.timestamp()),
            "author": {"id": "u-1", "name": author, "email": "kim@newsroom.example"},
        },
    }


async def tags_of(api: Api, number: str = ANA) -> list[str]:
    return list(await api.value(f"SELECT tags FROM contacts WHERE phone_number = '{number}'"))


async def test_a_label_is_a_tag_as_long_as_the_conversation_has_it(labels: Api) -> None:
    await labels.query(f"INSERT INTO contacts (phone_number, name, tags) VALUES ('{ANA}', 'Ana', '{{member}}')")
    answer = await labels.missive(labelled("volunteer", "Zürich/Nord", "internal"))
    assert (answer.status_code, answer.json()) == (200, {"recorded": True})
    assert await tags_of(labels) == ["Zürich/Nord", "member", "volunteer"]
    await labels.missive(labelled("internal", "volunteer"))
    assert await tags_of(labels) == ["member", "volunteer"]
    await labels.missive(labelled())
    assert await tags_of(labels) == ["member"]
    changes = await labels.query("SELECT actor, data FROM events WHERE type = 'ContactChanged' ORDER BY position")
    assert [(change["actor"], change["data"]["fields"]) for change in changes] == [("carrier:missive", ["tags"])] * 3


async def test_a_label_that_is_told_again_changes_nothing(labels: Api) -> None:
    for _ in range(3):
        await labels.missive(labelled("volunteer"))
    assert await labels.value("SELECT count(*) FROM events WHERE type = 'ContactChanged'") == 1


async def test_somebody_with_a_label_that_is_followed_becomes_a_contact_and_nobody_else(labels: Api) -> None:
    await labels.missive(labelled("volunteer"))
    await labels.missive(labelled("internal", number=BEN, conversation="c-2"))
    assert await labels.query("SELECT phone_number, tags FROM contacts") == [
        {"phone_number": ANA, "tags": ["volunteer"]}
    ]


async def test_a_tag_that_another_conversation_gives_stays(labels: Api) -> None:
    await labels.missive(labelled("volunteer"))
    await labels.missive(labelled("volunteer", conversation="c-2"))
    await labels.missive(labelled(conversation="c-2"))
    assert await tags_of(labels) == ["volunteer"]
    await labels.missive(labelled())
    assert await tags_of(labels) == []


async def test_a_label_that_can_be_no_tag_is_none(labels: Api) -> None:
    await labels.missive(labelled("bad,one!", "volunteer"))
    assert await tags_of(labels) == ["volunteer"]


async def test_labels_are_no_tags_unless_settings_say_so(api: Api) -> None:
    answer = await api.missive(labelled("volunteer"))
    assert (answer.status_code, answer.json()) == (200, {"recorded": True})
    assert await api.value("SELECT count(*) FROM contacts") == 0


async def test_a_conversation_of_several_people_says_nothing_of_any(labels: Api) -> None:
    payload = labelled("volunteer")
    payload["conversation"]["authors"].append({"name": "Ben", "phone_number": BEN})
    assert (await labels.missive(payload)).status_code == 200
    assert await labels.value("SELECT count(*) FROM contacts") == 0


async def test_whose_conversation_it_is_follows_from_its_latest_message_where_no_author_is_told(labels: Api) -> None:
    payload = labelled("volunteer", to_fields=[{"phone_number": ANA}], from_field={"phone_number": FROM})
    del payload["conversation"]["authors"]
    await labels.missive(payload)
    assert await tags_of(labels) == ["volunteer"]


async def test_unsubscribe_in_a_comment_opts_the_person_out_with_who_wrote_it(api: Api) -> None:
    broadcast = await api.made(1)
    number = await api.value("SELECT phone_number FROM contacts")
    payload = commented(api, "Asked me on the phone. #Unsubscribe, please")
    payload["conversation"]["authors"] = [{"phone_number": number}]
    assert (await api.missive(payload)).json() == {"recorded": True}
    assert await api.query("SELECT phone_number, source FROM opt_outs") == [{"phone_number": number, "source": "staff"}]
    assert await api.query("SELECT note, wish FROM consent_records") == [
        {"note": "#unsubscribe in Missive, by Kim Park", "wish": "stop"}
    ]
    unsent = await api.query(f"SELECT DISTINCT state FROM outgoing_messages WHERE broadcast_id = {broadcast}")
    assert unsent == [{"state": "skipped"}]


async def test_a_comment_that_is_reported_again_does_not_undo_a_start_that_came_after_it(api: Api) -> None:
    payload = commented(api, "#unsubscribe")
    await api.missive(payload)
    api.clock.forward(seconds=60)
    await api.missive(incoming(ANA, "START", api.clock.now))
    assert await api.value("SELECT count(*) FROM opt_outs") == 0
    api.clock.forward(seconds=60)
    await api.missive(payload)
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


@pytest.mark.parametrize("body", ["unsubscribe?", "#unsubscribed last year", "see ##unsubscribe", "x#unsubscribe", ""])
async def test_other_comments_opt_nobody_out(api: Api, body: str) -> None:
    assert (await api.missive(commented(api, body))).status_code == 200
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


async def test_unsubscribe_beside_a_conversation_without_a_number_is_taken_and_does_nothing(api: Api) -> None:
    payload = commented(api, "#unsubscribe")
    payload["conversation"]["authors"] = [{"name": "Ana", "address": "ana@example.org"}]
    assert (await api.missive(payload)).status_code == 200
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


@pytest.mark.parametrize(
    "part",
    [{"comment": []}, {"comment": {"id": 3}}, {"conversation": "c"}, {"conversation": {"id": "c", "authors": 7}}],
)
async def test_payloads_of_another_form_are_taken(labels: Api, part: dict[str, Any]) -> None:
    for kind in ("label_change", "new_comment"):
        payload = {"rule": {"type": kind}, "conversation": {"id": "c-9", "shared_labels": [None, {}, 5]}, **part}
        assert (await labels.missive(payload)).status_code == 200


async def test_links_follow_a_conversation_that_was_merged_twice(labels: Api) -> None:
    told = incoming(ANA, "hello", labels.clock.now)
    await labels.missive({**told, "conversation": {"id": "c-1"}})
    await labels.missive(labelled("volunteer"))
    later = incoming(ANA, "again", labels.clock.now + timedelta(seconds=5), sid="SM2")
    await labels.missive({**later, "conversation": {"id": "c-1"}})
    for conversation in ("c-2", "c-3"):
        await labels.missive({**told, "conversation": {"id": conversation}})
    urls = {reply["missive_url"] for reply in (await labels.client.get("/replies")).json()["items"]}
    assert urls == {"https://mail.missiveapp.com/#inbox/conversations/c-3"}
    # What its labels gave, they give there.
    await labels.missive(labelled(conversation="c-3"))
    assert await tags_of(labels) == []


async def test_conversations_are_forgotten_with_the_person(labels: Api) -> None:
    await labels.missive(labelled("volunteer"))
    contact = await labels.value("SELECT id FROM contacts")
    assert (await labels.client.delete(f"/contacts/{contact}")).status_code == 204
    assert await labels.value("SELECT count(*) FROM missive_conversations") == 0
