"""The label of a broadcast in Missive: found or made once, before the first message, and carried by each."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.common.carriers.missive import Missive
from libs.common.clock import utc_now
from libs.common.domain.commands import SendBatch
from services.sender import labelling as subject
from services.sender.batch_sender import Sender
from services.sender.labelling import Labelling
from tests.integration.simulator.running import FROM, TOKEN, Simulator, simulator
from tests.support.deliveries import delivery
from tests.support.scripted import ScriptedCarrier
from tests.support.world import Clock, World, make_settings

NAME = "School board"
ORGANIZATION = "an-organization"


@pytest.fixture
async def carrier() -> AsyncIterator[Simulator]:
    async with simulator(missive_labels={"l-1": "volunteers", "l-2": "Donors"}) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BETWEEN", 0.01)


def ready(world: World, **fields: Any) -> World:
    settings = make_settings(
        world.settings.database_url,
        **{"missive_organization": ORGANIZATION, "send_rate": 200, "send_concurrency": 4, **fields},
    )
    return replace(world, settings=settings, clock=Clock(None))


def labels(world: World, carrier: Simulator) -> tuple[Labelling, Missive]:
    missive = Missive(base_url=carrier.url, token=TOKEN, organization=world.settings.missive_organization)
    return Labelling(world.worker, world.settings, missive), missive


async def asked(carrier: Simulator) -> dict[str, int]:
    kinds: dict[str, int] = (await carrier.control("GET", "/requests?list=false"))["totals"]["kinds"]
    return {kind: kinds.get(kind, 0) for kind in ("missive_labels", "missive_label")}


async def test_a_label_that_is_there_is_found_whatever_its_capitals(world: World, carrier: Simulator) -> None:
    labelling, missive = labels(ready(world), carrier)
    assert await labelling.ids("donors") == ("l-2",)
    assert await labelling.ids("donors") == ("l-2",)
    assert await asked(carrier) == {"missive_labels": 1, "missive_label": 0}
    assert await labelling.ids("") == ()
    await missive.aclose()


async def test_a_label_is_made_once_by_several_at_once_and_used_again(world: World, carrier: Simulator) -> None:
    given = ready(world)
    several = [labels(given, carrier) for _ in range(4)]
    found = await asyncio.gather(*(labelling.ids(NAME) for labelling, _ in several))
    assert len(set(found)) == 1
    assert carrier.network.config.missive_labels[found[0][0]] == NAME
    assert (await asked(carrier))["missive_label"] == 1
    for _, missive in several:
        await missive.aclose()


@pytest.mark.parametrize("kind", ["cut_after", "error_after"])
async def test_an_answer_that_is_lost_makes_no_second_label(world: World, carrier: Simulator, kind: str) -> None:
    labelling, missive = labels(ready(world), carrier)
    await carrier.control("POST", "/faults", {"kind": kind, "on": "label", "count": 1})
    found = await labelling.ids(NAME)
    assert list(carrier.network.config.missive_labels.values()).count(NAME) == 1
    assert carrier.network.config.missive_labels[found[0]] == NAME
    await missive.aclose()


async def test_one_that_was_removed_in_missive_is_made_again_after_an_hour(world: World, carrier: Simulator) -> None:
    given = ready(world)
    labelling, missive = labels(given, carrier)
    [first] = await labelling.ids(NAME)
    del carrier.network.config.missive_labels[first]
    given.clock.now = utc_now() + timedelta(hours=2)
    [second] = await labelling.ids(NAME)
    assert carrier.network.config.missive_labels[second] == NAME
    await missive.aclose()


async def test_where_missive_refuses_it_is_asked_once_an_hour_and_the_fault_is_on_record(
    world: World, carrier: Simulator
) -> None:
    labelling, missive = labels(ready(world), carrier)
    await carrier.control("POST", "/faults", {"kind": "error_before", "on": "label", "status": 403})
    assert await labelling.ids(NAME) == ()
    assert await labelling.ids(NAME) == ()
    assert (await asked(carrier))["missive_label"] == 1
    assert await world.value("SELECT fault FROM missive_labels") == "http_403"
    await missive.aclose()


async def test_where_missive_cannot_be_asked_messages_leave_all_the_same(world: World, carrier: Simulator) -> None:
    labelling, missive = labels(ready(world), carrier)
    await carrier.control("POST", "/faults", {"kind": "error_before", "on": "label", "status": 500})
    assert await labelling.ids(NAME) == ()
    assert (await asked(carrier))["missive_label"] == subject.TRIES
    await carrier.control("DELETE", "/faults")
    [found] = await labelling.ids(NAME)
    assert carrier.network.config.missive_labels[found] == NAME
    assert await world.value("SELECT fault FROM missive_labels") is None
    await missive.aclose()


async def test_without_an_organization_nobody_is_asked(world: World, carrier: Simulator) -> None:
    labelling, missive = labels(ready(world, missive_organization=""), carrier)
    assert await labelling.ids(NAME) == ()
    assert await asked(carrier) == {"missive_labels": 0, "missive_label": 0}
    assert await world.value("SELECT fault FROM missive_labels") == "no_organization"
    await missive.aclose()


async def test_every_message_of_a_broadcast_carries_its_label(world: World, carrier: Simulator) -> None:
    given = ready(world)
    labelling, missive = labels(given, carrier)
    broadcast = await given.made(3, label=NAME)
    step = SendBatch(broadcast_id=broadcast, batch_id=await given.plan(broadcast, is_second=False), is_second=False)
    scripted = ScriptedCarrier()
    await Sender(given.worker, given.settings, scripted, labelling=labelling).send_batch(step, delivery())
    [label] = await labelling.ids(NAME)
    assert [request.labels for request in scripted.requests] == [(label,)] * 3
    await missive.aclose()


async def test_a_draft_has_the_labels_of_all_messages_and_that_of_its_broadcast(carrier: Simulator) -> None:
    missive = Missive(base_url=carrier.url, token=TOKEN, organization=ORGANIZATION, labels=("l-1",))
    await missive.send(
        to="+13135550101", from_number=FROM, body="Hi", may_still_send=lambda: True, labels=("l-2", "l-1")
    )
    await missive.aclose()
    [conversation] = carrier.network.labelled.values()
    assert conversation.labels == ["l-1", "l-2"]
