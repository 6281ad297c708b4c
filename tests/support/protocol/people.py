"""What recipients and staff do, as webhooks and the API do it for them."""

from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from libs.common import broadcast as rules
from libs.common import consent, database, lifecycle, texts
from libs.common.consent import Inbound
from libs.common.database import Connection
from libs.common.errors import Conflict
from tests.support.protocol.carrier import Carrier
from tests.support.protocol.sender import Sender
from tests.support.protocol.stage import Actor, Stage
from tests.support.world import FROM, Clock

Words = Literal["thanks", "STOP", "START"]
Verb = Literal["pause", "resume", "cancel", "opt out", "opt in"]


class People:
    """The part of a broadcast that people play."""

    stage: Stage
    clock: Clock
    carrier: Carrier
    id: int
    numbers: list[str]
    words: tuple[str, str]
    inbound: list[Inbound]
    opted_out: dict[str, datetime]
    replied: set[str]
    credits: dict[str, int]
    other: int | None
    other_reached: dict[str, datetime]

    def act(self, name: str, work: Coroutine[Any, Any, None], *, hold: bool = False, by: Sender | None = None) -> None:
        """Have somebody begin a piece of work, to be held before its first commit or not."""
        self.stage.run(self.stage.act(Actor(name, by, held=hold), work))

    def transaction(self) -> Any:
        return database.transaction(self.stage.pool)

    def says_no(self, number: str, at: datetime) -> None:
        """Note a no on record; what counts is when it was last said."""
        self.opted_out[number] = max(at, self.opted_out.get(number, at))

    def says_yes(self, number: str, at: datetime) -> None:
        """Note that somebody wants texts again, unless they have said no since."""
        if self.opted_out.get(number, at) <= at:
            self.opted_out.pop(number, None)

    def reply(self, by: int, words: Words, *, to: str = FROM) -> None:
        """Have a recipient write to a number of ours; nobody has heard of it yet."""
        at = self.clock.now.replace(microsecond=0)
        self.inbound.append(
            Inbound(
                provider_id=f"in-{len(self.inbound)}",
                phone_number=self.numbers[by],
                body=words,
                received_at=at,
                to=to,
            )
        )

    def webhook(self, inbound: Inbound, *, hold: bool = False) -> None:
        """Hear of a reply, perhaps again."""
        number = inbound.phone_number
        # To the second, as providers say it.
        was_told = any(
            x.to == number and x.body == self.words[0] and x.at.replace(microsecond=0) <= inbound.received_at
            for x in self.carrier.taken
        )
        other_at = self.other_reached.get(number)
        other_told = other_at is not None and other_at.replace(microsecond=0) <= inbound.received_at

        async def work() -> None:
            async with self.transaction() as connection:
                new = await consent.receive(connection, inbound, self.clock.now)
            if not new:
                return
            if inbound.to == FROM and was_told:
                self.replied.add(number)
                self.credits[inbound.provider_id] = self.id
            elif inbound.to != FROM and other_told and self.other is not None:
                self.credits[inbound.provider_id] = self.other
            if inbound.body == "STOP":
                self.says_no(number, inbound.received_at)
            if inbound.body == "START":
                self.says_yes(number, inbound.received_at)

        self.act("webhook", work(), hold=hold)

    def staff(self, verb: Verb, to: int, *, hold: bool = False) -> None:
        """Pull a lever, as the API does."""
        number = self.numbers[to]

        async def work() -> None:
            now = self.clock.now
            with suppress(Conflict):
                async with self.transaction() as connection:
                    if verb == "opt out":
                        await consent.opt_out(connection, number, "staff", now)
                    elif verb == "opt in":
                        await consent.opt_in(connection, number, "staff", now)
                    else:
                        await self._pull(connection, verb, now)
            if verb == "opt out":
                self.says_no(number, now)
            if verb == "opt in":
                self.says_yes(number, now)

        self.act(verb, work(), hold=hold)

    async def _pull(self, connection: Connection, verb: Literal["pause", "resume", "cancel"], now: datetime) -> None:
        broadcast, version = await lifecycle.load(connection, self.id)
        match verb:
            case "pause":
                await lifecycle.record(connection, self.id, version, rules.pause(broadcast), now)
            case "resume":
                await lifecycle.record(connection, self.id, version, rules.resume(broadcast), now)
            case "cancel":
                await lifecycle.record(connection, self.id, version, rules.cancel(broadcast, None), now)
                await texts.skip_unsent(connection, self.id, "cancelled", now)
