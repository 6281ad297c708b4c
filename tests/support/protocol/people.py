"""What recipients and staff do, as webhooks and the API do it for them."""

from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from libs.common import database
from libs.common.broadcasts import messages, opt_outs, replies, repository
from libs.common.broadcasts.inbound import Inbound
from libs.common.database import Connection
from libs.common.domain.broadcast import cancel, pause, resume
from libs.common.domain.states import ConsentSource, SkipReason
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
    opted_in: dict[str, datetime]
    replied: set[str]
    credits: dict[str, int]
    other: int | None
    other_reached: dict[str, datetime]

    def act(self, name: str, work: Coroutine[Any, Any, None], *, hold: bool = False, by: Sender | None = None) -> None:
        """Have somebody begin a piece of work, to be held before its first commit or not."""
        self.stage.run(self.stage.act(Actor(name, by, held=hold), work))

    def transaction(self) -> Any:
        return database.transaction(self.stage.engine)

    def says_no(self, number: str, at: datetime) -> None:
        """Note a no on record; what counts is when it was last said."""
        self.opted_out[number] = max(at, self.opted_out.get(number, at))

    def says_yes(self, number: str, at: datetime) -> None:
        """Note that somebody wants messages again."""
        self.opted_in[number] = max(at, self.opted_in.get(number, at))

    def out(self) -> set[str]:
        """Return who wants nothing: whose last word is a no, whatever we heard of first."""
        return {number for number, at in self.opted_out.items() if at >= self.opted_in.get(number, at)}

    def after_all(self, number: str, now: datetime) -> datetime:
        """Return the time of what staff do, which comes after all that was said."""
        said = [at for each in (self.opted_out, self.opted_in) if (at := each.get(number)) is not None]
        return max([now, *(at + timedelta(microseconds=1) for at in said)])

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
        number = str(inbound.phone_number)
        # To the second, as providers say it.
        was_told = any(
            x.to == number and x.body == self.words[0] and x.at.replace(microsecond=0) <= inbound.received_at
            for x in self.carrier.taken
        )
        other_at = self.other_reached.get(number)
        other_told = other_at is not None and other_at.replace(microsecond=0) <= inbound.received_at

        async def work() -> None:
            async with self.transaction() as connection:
                new = await replies.receive(connection, inbound, self.clock.now)
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
        """Take an action of staff, as the API does."""
        number = self.numbers[to]

        async def work() -> None:
            now = self.clock.now
            with suppress(Conflict):
                async with self.transaction() as connection:
                    if verb == "opt out":
                        await opt_outs.opt_out(connection, number, ConsentSource.STAFF, now)
                    elif verb == "opt in":
                        await opt_outs.opt_in(connection, number, ConsentSource.STAFF, now)
                    else:
                        await self._act(connection, verb, now)
            if verb == "opt out":
                self.says_no(number, self.after_all(number, now))
            if verb == "opt in":
                self.says_yes(number, self.after_all(number, now))

        self.act(verb, work(), hold=hold)

    async def _act(self, connection: Connection, verb: Literal["pause", "resume", "cancel"], now: datetime) -> None:
        broadcast = await repository.load(connection, self.id)
        match verb:
            case "pause":
                await repository.save(connection, broadcast, pause(broadcast), now)
            case "resume":
                await repository.save(connection, broadcast, resume(broadcast), now)
            case "cancel":
                await repository.save(connection, broadcast, cancel(broadcast, None), now)
                await messages.skip_unsent(connection, self.id, SkipReason.CANCELLED, now)
