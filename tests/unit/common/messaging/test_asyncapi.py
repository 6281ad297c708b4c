"""`/asyncapi` says what is on the wire, and is data."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.domain import codec
from libs.common.domain.commands import COMMANDS, SendBatch
from libs.common.domain.events import PUBLISHED
from libs.common.messaging import topology
from libs.common.messaging.envelope import Envelope, amqp_message
from services.planner.app import create_app as planner
from services.sender.app import create_app as sender
from services.twilio_sync.app import create_app as twilio_sync
from tests.support.world import make_settings

SERVICES: dict[str, Callable[..., Any]] = {"planner": planner, "sender": sender, "twilio_sync": twilio_sync}


async def answer(service: str) -> httpx.Response:
    app, _ = SERVICES[service](make_settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        return await client.get("/asyncapi")


def references(value: Any) -> Iterator[str]:
    """Yield all references in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def operations(document: Any, action: str) -> set[str]:
    """Return the names of a document's operations."""
    return {name for name, operation in document["operations"].items() if operation["action"] == action}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_receives_what_is_in_its_queues_and_nothing_else(service: str) -> None:
    """The health routes were channels, too."""
    document = (await answer(service)).json()
    assert set(document["channels"]) == set(document["operations"])
    assert operations(document, "receive") == {work.name for work in topology.WORK if work.service == service}


async def test_the_planner_sends_all_commands_and_events_and_each_service_its_early_steps_and_dead_letters() -> None:
    found = {service: operations((await answer(service)).json(), "send") for service in SERVICES}
    commands = {f"broadsheet.commands.{cls.__name__}" for cls in COMMANDS}
    assert found == {
        "planner": {"broadsheet.dead", "broadsheet.events", *commands},
        "sender": {"broadsheet.dead", "broadsheet.commands.SendBatch"},
        "twilio_sync": {
            "broadsheet.dead", "broadsheet.commands.SyncStatuses", "broadsheet.commands.SettleUncertain",
        },
    }  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
async def test_it_is_data_that_loads_nothing(service: str) -> None:
    """It was a page with a script of a third party."""
    found = await answer(service)
    assert found.headers["content-type"] == "application/json"
    assert "<script" not in found.text
    assert "http" not in found.text.lower().replace("httpx", "")


@pytest.mark.parametrize("service", SERVICES)
async def test_every_reference_leads_somewhere(service: str) -> None:
    document = (await answer(service)).json()
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


async def test_a_message_is_described_as_the_envelope_that_is_on_the_wire() -> None:
    """The schemas were those of the handlers' arguments, which nobody ever sees in a queue."""
    document = (await answer("sender")).json()
    message = document["components"]["messages"]["sender.SendBatch:SubscribeMessage"]
    sent_on = document["components"]["messages"]["broadsheet.commands.SendBatch:Message"]
    assert sent_on["payload"] == message["payload"]
    [reference] = references(message["payload"])
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]

    now = datetime.now(UTC)
    command = SendBatch(broadcast_id=1, batch_id=uuid4(), is_second=False)
    sent = amqp_message(
        Envelope(
            id=uuid4(), type="SendBatch", version=codec.version("SendBatch"), time=now, due=now,
            correlation_id=uuid4(), causation_id=None, actor="service:planner", data=codec.encode(command),
        )
    )  # fmt: skip
    body = json.loads(sent.body)
    assert set(schema["required"]) == set(schema["properties"]) == set(body)
    assert [schema["properties"][name]["const"] for name in ("type", "version")] == [body["type"], body["version"]]
    data = document["components"]["schemas"][schema["properties"]["data"]["$ref"].rpartition("/")[2]]
    assert set(data["properties"]) == set(body["data"])
    assert message["contentType"] == sent.content_type


async def test_the_planner_describes_every_published_event() -> None:
    document = (await answer("planner")).json()
    message = document["components"]["messages"]["planner.events:SubscribeMessage"]
    named = {reference.rpartition("/")[2].removesuffix(".Envelope") for reference in references(message["payload"])}
    assert named == {cls.__name__ for cls in PUBLISHED}
