"""Messages of no broadcast, for tests of all services that have to do with them."""

from typing import Any
from uuid import UUID, uuid4

from libs.common import database
from libs.common.broadcasts import single_messages
from libs.common.broadcasts.single_messages import Draft
from libs.common.domain.states import SinglePurpose
from tests.support.world import World

TO = "+13135550777"
WORDS = "We'll look into it: $$ 'thanks' 🎉"


async def ask(world: World, *, to: str = TO, body: str = WORDS, request_id: UUID | None = None) -> int:
    """Ask for a test, and give its id."""
    draft = Draft(
        purpose=SinglePurpose.TEST,
        request_id=request_id or uuid4(),
        phone_number=to,
        body=body,
        sending_number_id=await world.sending_number(),
    )
    async with database.transaction(world.engine) as connection:
        return await single_messages.ask(connection, draft, world.clock.now)


async def answer(world: World, *, to: str = TO) -> int:
    """Ask for an answer to a reply that has just come in, and give its id."""
    reply = await world.value(
        "INSERT INTO replies (provider_id, phone_number, body, received_at) VALUES (%s, %s, 'Hello?', %s) RETURNING id",
        str(uuid4()), to, world.clock.now,
    )  # fmt: skip
    draft = Draft(
        purpose=SinglePurpose.ANSWER,
        request_id=uuid4(),
        phone_number=to,
        body=WORDS,
        sending_number_id=await world.sending_number(),
        reply_id=reply,
    )
    async with database.transaction(world.engine) as connection:
        return await single_messages.ask(connection, draft, world.clock.now)


async def row(world: World, single_id: int) -> dict[str, Any]:
    """Return a message's row."""
    [found] = await world.query(
        "SELECT id, state, skip_reason, phone_number, body, twilio_id, twilio_sent_status, twilio_error_code, look_at,"
        " nullif(not_before, '-infinity') AS not_before"
        " FROM single_messages WHERE id = %s",
        single_id,
    )
    return found
