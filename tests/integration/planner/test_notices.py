"""Notices outside the desk: who is told of what, once, whatever is down."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession

from libs.common import database
from libs.common.broadcasts import repository
from libs.common.domain import events as e
from libs.common.domain.keywords import Reason
from libs.common.domain.notices import NoticeChannel, NoticeKind
from libs.common.eventstore import store
from libs.common.runtime.tasks import cancel_and_wait
from libs.common.settings import WorkerSettings
from libs.common.settings.planner import PlannerSettings
from services.planner.notices import delivery, planning
from services.planner.notices.channels import Channels, signature
from tests.integration.simulator.running import TOKEN, application, simulator
from tests.support.processes import until
from tests.support.world import FIRST, World

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONVERSATION = "00f78fe9-f11a-4b4e-a502-67e6138d3b0f"


@dataclass
class Mailboxes:
    """A mail server on this machine, and what it was handed."""

    port: int = 0
    letters: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append((envelope.rcpt_tos, letter))
        return "250 taken"


@pytest.fixture
async def mail() -> AsyncIterator[Mailboxes]:
    boxes = Mailboxes()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(boxes), "127.0.0.1", 0)
    boxes.port = server.sockets[0].getsockname()[1]
    yield boxes
    server.close()
    await server.wait_closed()


@dataclass
class Told:
    """A planner's notices, with the world they are about."""

    world: World
    settings: PlannerSettings
    channels: Channels

    async def user(self, name: str = "Ana") -> int:
        email = f"{name.lower()}@example.org"
        insert = "INSERT INTO users (email, name, role) VALUES (%s, %s, 'editor') RETURNING id"
        return int(await self.world.value(insert, email, name))

    async def wants(self, user_id: int | None, channel: NoticeChannel, *kinds: NoticeKind, address: str = "") -> None:
        await self.world.query(
            "INSERT INTO notice_targets (user_id, channel, address, secret, kinds) VALUES (%s, %s, %s, %s, %s)",
            user_id, channel, address, SECRET if channel is NoticeChannel.WEBHOOK else None, list(kinds),
        )  # fmt: skip

    async def plan(self) -> None:
        """Read history as a planner does that has just begun."""
        await planning.plan(self.world.worker, self.world.clock.now, set())
        await planning.plan_failures(self.world.worker, self.world.clock.now)

    async def deliver(self) -> int:
        return await delivery.deliver(self.world.worker, self.settings, self.channels, self.world.clock.now)

    async def notices(self, columns: str = "outcome, attempts, failure") -> list[dict[str, Any]]:
        return await self.world.query(f"SELECT {columns} FROM notices ORDER BY id")

    async def suspect(self, contact: int) -> None:
        """Have a contact write what is likely to be an opt-out."""
        number = await self.world.number_of(contact)
        reply = await self.world.value(
            "INSERT INTO replies (provider_id, phone_number, contact_id, body, received_at, review)"
            " VALUES (%s, %s, %s, 'leave me alone', %s, 'waiting') RETURNING id",
            f"reply-{contact}", number, contact, self.world.clock.now,
        )  # fmt: skip
        event = e.OptOutSuspected(reply_id=reply, contact_id=contact, reason=Reason.TAKE_ME_OFF)
        async with database.transaction(self.world.engine) as connection:
            await store.append(connection, f"contact-{contact}", [event], now=self.world.clock.now)


@asynccontextmanager
async def telling(world: World, **settings: Any) -> AsyncIterator[Told]:
    known = {name: getattr(world.settings, name) for name in WorkerSettings.model_fields}
    made = PlannerSettings(**{"_env_file": None, **known, "public_url": "https://desk.example.org", **settings})
    channels = Channels(made)
    try:
        yield Told(world, made, channels)
    finally:
        await channels.aclose()


def by_mail(mail: Mailboxes) -> dict[str, str]:
    return {"smtp_url": f"smtp://127.0.0.1:{mail.port}", "smtp_from": "Broadsheet <texts@example.org>"}


async def test_who_asked_for_it_gets_one_letter_however_often_history_is_read(world: World, mail: Mailboxes) -> None:
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user("Ana"), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await told.wants(await told.user("Bo"), NoticeChannel.EMAIL, NoticeKind.FINISHED)
        gone = await told.user("Cy")
        await told.wants(gone, NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await world.query("UPDATE users SET disabled_at = now() WHERE id = %s", gone)
        broadcast = await world.made(2)
        await world.pause(broadcast)
        for _ in range(2):
            await told.plan()
            await told.deliver()
            world.clock.forward(minutes=16)
        [(recipients, letter)] = mail.letters
        assert recipients == ["ana@example.org"]
        assert letter["Subject"] == "Paused: the broadcast of Wed 4 Mar, 10:00"
        words = letter.get_content()
        assert f"https://desk.example.org/desk/broadcasts/{broadcast}" in words
        assert "+1313" not in str(letter)
        assert FIRST.split("\n")[-1] not in words
        assert await told.notices("outcome") == [{"outcome": "sent"}]


async def test_who_may_approve_a_broadcast_is_told_that_it_waits_once_until_a_change_takes_an_approval_back(
    world: World, mail: Mailboxes
) -> None:
    async with telling(world, approval_required=True, **by_mail(mail)) as told:
        ids = {}
        for name, role in (("Ana", "approver"), ("Bo", "approver"), ("Cy", "editor"), ("Di", "admin")):
            user = ids[name] = await told.user(name)
            await world.query("UPDATE users SET role = %s WHERE id = %s", role, user)
            await told.wants(user, NoticeChannel.EMAIL, NoticeKind.WANTS_APPROVAL)
        segment = await world.segment("made")
        broadcast = await world.scheduled(segment)
        ana, bo = f"user:{ids['Ana']}", f"user:{ids['Bo']}"
        await world.query("UPDATE broadcasts SET author = %s", ana)

        async def letters() -> list[str]:
            mail.letters.clear()
            for _ in range(2):
                await planning.plan_approvals(world.worker, world.clock.now)
                await told.deliver()
            return sorted(recipients[0] for recipients, _ in mail.letters)

        assert await letters() == ["bo@example.org", "di@example.org"]
        assert mail.letters[0][1]["Subject"].startswith("Waits for approval: the broadcast of")
        assert "Ana wrote it" in mail.letters[0][1].get_content()
        assert await letters() == []
        await world.apply(broadcast, e.BroadcastApproved(broadcast_id=broadcast, by=bo))
        assert await letters() == []
        await world.query("UPDATE broadcasts SET approved_by = NULL, author = %s", ana)
        await planning.plan_approvals(world.worker, world.clock.now)
        await world.query("UPDATE users SET role = 'viewer' WHERE name = 'Di'")
        assert await letters() == ["bo@example.org"]
        await world.query("UPDATE broadcasts SET draft = true")
        await world.scheduled(segment)
        await world.query("UPDATE broadcasts SET draft = true")
        assert await letters() == []


async def test_an_event_that_is_committed_late_is_told_of_all_the_same(world: World, mail: Mailboxes) -> None:
    """Positions are handed out before commits: one may be seen after one behind it."""
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        late, early = await world.made(1), await world.made(1)
        planned: set[int] = set()
        async with database.transaction(world.engine) as connection:
            paused = [e.BroadcastPaused(broadcast_id=late)]
            await repository.save(connection, await repository.load(connection, late), paused, world.clock.now)
            await world.pause(early)
            await planning.plan(world.worker, world.clock.now, planned)
        await planning.plan(world.worker, world.clock.now, planned)
        await told.deliver()
        links = {line for _, letter in mail.letters for line in letter.get_content().split() if "/broadcasts/" in line}
        assert links == {f"https://desk.example.org/desk/broadcasts/{each}" for each in (late, early)}


async def test_what_is_a_day_old_is_no_news(world: World) -> None:
    async with telling(world) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await world.pause(await world.made(1))
        world.clock.forward(days=1, minutes=1)
        await told.plan()
        assert await told.notices() == []
        assert await world.value("SELECT position FROM notices_read") > 0


async def test_a_webhook_is_signed_and_tried_again_later_and_later_until_it_is_taken(world: World) -> None:
    async with telling(world) as told, application() as receiver:
        receiver.statuses = [500, 302]
        hook = f"{receiver.url}/hook"
        await told.wants(None, NoticeChannel.WEBHOOK, NoticeKind.MISSED, address=hook)
        broadcast = await world.scheduled()
        await world.apply(
            broadcast, e.BroadcastMissed(broadcast_id=broadcast, reason="day_over", next_broadcast_id=None)
        )
        await told.plan()
        for passed in (0, 29, 1, 59, 1, 3600):
            world.clock.forward(seconds=passed)
            await told.deliver()
        assert [len(receiver.received), await told.notices()] == [
            3, [{"outcome": "sent", "attempts": 3, "failure": None}]
        ]  # fmt: skip
        last = receiver.received[-1]
        content = json.loads(last.body)
        assert content["type"] == "notice.missed"
        assert content["data"]["broadcast_id"] == broadcast
        assert "its day went by" in content["data"]["text"]
        identity, at = last.headers["webhook-id"], int(last.headers["webhook-timestamp"])
        assert last.headers.items() >= signature(SECRET, identity, at, last.body).items()
        assert len({each.headers["webhook-id"] for each in receiver.received}) == 1


async def test_one_that_cannot_be_delivered_is_given_up_after_a_day_and_holds_up_no_other(
    world: World, mail: Mailboxes, caplog: pytest.LogCaptureFixture
) -> None:
    async with telling(world, **by_mail(mail)) as told:
        nobody = "https://127.0.0.1:1/hook"
        await told.wants(None, NoticeChannel.WEBHOOK, NoticeKind.PAUSED, address=nobody)
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await world.pause(await world.made(1))
        await told.plan()
        await told.deliver()
        assert len(mail.letters) == 1
        world.clock.forward(hours=23)
        await told.deliver()
        assert (await told.notices())[0] == {"outcome": None, "attempts": 2, "failure": "no answer: ConnectError"}
        world.clock.forward(hours=2)
        await told.deliver()
        assert (await told.notices("outcome, attempts"))[0] == {"outcome": "given_up", "attempts": 3}
        world.clock.forward(hours=2)
        assert await told.deliver() == 0


async def test_a_broadcast_that_is_done_is_told_of_with_its_figures_as_a_post_in_missive(world: World) -> None:
    async with simulator() as carrier, telling(world, missive_url=carrier.url, missive_token=TOKEN) as told:
        await told.wants(None, NoticeChannel.MISSIVE, NoticeKind.FINISHED, address=CONVERSATION)
        broadcast = await world.made(3)
        await world.send(broadcast, sids=True)
        await world.query(
            "UPDATE broadcast_sent_message_status SET twilio_sent_status = 'undelivered', twilio_error_code = '30006'"
            " WHERE outgoing_message_id = (SELECT min(outgoing_message_id) FROM broadcast_sent_message_status)"
        )
        async with database.transaction(world.engine) as connection:
            done = e.BroadcastCompleted(broadcast_id=broadcast, ledger=e.Ledger(planned=6, accepted=3), unsettled=2)
            await store.append(connection, f"broadcast-{broadcast}", [done], now=world.clock.now)
        await told.plan()
        await told.deliver()
        [(conversation, words)] = carrier.network.ledger.posts
        assert conversation == CONVERSATION
        assert "0 of 3 got it; of 2 there is no word; 1 did not." in words
        assert f"https://desk.example.org/desk/broadcasts/{broadcast}" in words


async def test_a_test_goes_by_each_way_as_a_notice_does_and_fails_once_and_for_all(
    world: World, mail: Mailboxes
) -> None:
    async with (
        simulator() as carrier,
        application() as receiver,
        telling(world, missive_url=carrier.url, missive_token=TOKEN, **by_mail(mail)) as told,
    ):
        receiver.statuses = [200, 500]
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await told.wants(None, NoticeChannel.WEBHOOK, NoticeKind.PAUSED, address=f"{receiver.url}/hook")
        await told.wants(None, NoticeChannel.MISSIVE, NoticeKind.PAUSED, address=CONVERSATION)
        ask = (
            "INSERT INTO notices (target_id, kind, about, actor, happened_at, due_at)"
            " SELECT id, 'test', %s, 'user:1', %s, %s FROM notice_targets"
        )
        await world.query(ask, 1, world.clock.now, world.clock.now)
        assert await told.deliver() == 3
        [(to, letter)] = mail.letters
        assert (to, letter["Subject"]) == (["ana@example.org"], "A test notice")
        assert json.loads(receiver.received[0].body)["type"] == "notice.test"
        [(conversation, words)] = carrier.network.ledger.posts
        assert conversation == CONVERSATION
        assert "https://desk.example.org/desk/settings/notices" in words
        assert {each["outcome"] for each in await told.notices()} == {"sent"}
        await world.query(f"{ask} WHERE channel = 'webhook'", 2, world.clock.now, world.clock.now)
        await told.deliver()
        assert (await told.notices())[-1] == {"outcome": "given_up", "attempts": 1, "failure": "the answer was 500"}
        world.clock.forward(hours=2)
        assert await told.deliver() == 0


async def test_likely_opt_outs_are_told_of_together_and_not_when_somebody_has_decided(
    world: World, mail: Mailboxes
) -> None:
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.LIKELY_OPT_OUTS)
        first, second, third, fourth = await world.contacts(4)
        await told.suspect(first)
        await told.suspect(second)
        await told.plan()
        await told.deliver()
        await told.deliver()
        assert [letter["Subject"] for _, letter in mail.letters] == ["Likely opt-outs: 2 people"]
        world.clock.forward(minutes=1)
        await told.suspect(third)
        await told.plan()
        assert await told.deliver() == 0
        world.clock.forward(minutes=29)
        await told.deliver()
        assert [letter["Subject"] for _, letter in mail.letters][1:] == ["Likely opt-outs: 3 people"]
        await told.suspect(fourth)
        await told.plan()
        await world.query("UPDATE replies SET review = 'superseded'")
        world.clock.forward(minutes=30)
        await told.deliver()
        assert len(mail.letters) == 2
        assert (await told.notices("outcome"))[-1] == {"outcome": "not_needed"}


async def test_many_failures_are_told_of_once_and_few_not_at_all(world: World, mail: Mailboxes) -> None:
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.MANY_FAILURES)
        broadcast = await world.made(40)
        await world.send(broadcast, sids=True)
        fail = """
            UPDATE broadcast_sent_message_status SET twilio_sent_status = 'undelivered', twilio_error_code = '30006'
            WHERE outgoing_message_id IN (
                SELECT outgoing_message_id FROM broadcast_sent_message_status ORDER BY 1 LIMIT %s)
        """
        await world.query("UPDATE broadcast_sent_message_status SET twilio_sent_status = 'delivered'")
        await world.query(fail, 9)
        await told.plan()
        assert await told.notices() == []
        await world.query(fail, 10)
        for _ in range(2):
            await told.plan()
            await told.deliver()
        [(_, letter)] = mail.letters
        assert "10 of 40 texts whose end is known did not arrive" in " ".join(letter.get_content().split())


async def test_the_planners_task_tells_by_itself(
    world: World, mail: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LOOK_EVERY", 0.01)
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)

        async def run() -> None:
            await delivery.task(told.settings)(world.worker)

        running = asyncio.create_task(run())
        try:
            await world.pause(await world.made(1))

            async def has_come() -> bool:
                return len(mail.letters) == 1

            await until(has_come)
        finally:
            await cancel_and_wait([running])


async def test_a_notice_that_nobody_wants_any_more_is_not_sent(world: World, mail: Mailboxes) -> None:
    async with telling(world, **by_mail(mail)) as told:
        await told.wants(await told.user(), NoticeChannel.EMAIL, NoticeKind.PAUSED)
        await world.pause(await world.made(1))
        await told.plan()
        await world.query("UPDATE notice_targets SET kinds = '{finished}'")
        await told.deliver()
        assert mail.letters == []
        world.clock.forward(seconds=timedelta(days=31).total_seconds())
        assert await told.notices("outcome") == [{"outcome": "not_needed"}]
