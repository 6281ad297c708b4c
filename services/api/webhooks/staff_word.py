"""What staff do in Missive beside a conversation: `#unsubscribe` opts its person out, and labels are tags."""

from datetime import datetime
from typing import Any

import structlog

from libs.common.broadcasts import conversations, opt_outs
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.opt_outs import Statement
from libs.common.carriers import missive_conversations
from libs.common.carriers.clocks import Offset
from libs.common.carriers.missive_conversations import Labelled
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.keywords import Wish
from libs.common.domain.states import ConsentSource
from services.api.context import Context
from services.api.http import transactions
from services.api.webhooks import incoming
from services.api.webhooks.comments import Comment, comment

log = structlog.stdlib.get_logger(__name__)


async def heed(api: Context, cause: Cause, payload: Any, now: datetime, offset: Offset) -> bool:
    """Do what a webhook says that staff want; False if it is about something else. Raise MalformedBody."""
    told = None
    if "label" in incoming.rule_type(payload):
        messages = [incoming.part(payload, name) for name in ("message", "latest_message")]
        conversation = incoming.part(payload, "conversation")
        told = missive_conversations.labelled(conversation, api.settings.own_numbers, messages=messages)
    if told is not None:
        await _label(api, cause, told, now)
        return True
    said = comment(payload, api.settings.own_numbers, now, offset)
    if said is None:
        return False
    if said.unsubscribes:
        await _opt_out(api, cause, said, now)
    return True


async def follow(api: Context, cause: Cause, inbound: Inbound) -> bool:
    """Note where a message that is on record stands by now: staff merge conversations. True if that is news."""
    conversation_id = inbound.missive_conversation_id
    if conversation_id is None:
        return False

    async def work(connection: Connection) -> bool:
        return await conversations.follow(connection, inbound.provider_id, conversation_id)

    return await transactions.retrying(api.webhooks, cause, work)


async def _label(api: Context, cause: Cause, told: Labelled, now: datetime) -> None:
    followed = api.settings.missive_labels_as_tags
    if not followed:
        return

    async def work(connection: Connection) -> None:
        await conversations.label(connection, told, followed, now)

    await transactions.retrying(api.webhooks, cause, work)


async def _opt_out(api: Context, cause: Cause, said: Comment, now: datetime) -> None:
    if said.phone_number is None:
        log.warning("unsubscribe_without_a_number", comment=said.id)
        return
    note = f"#unsubscribe in Missive, by {said.author}" if said.author else "#unsubscribe in Missive"
    statement = Statement(
        phone_number=said.phone_number,
        wish=Wish.STOP,
        source=ConsentSource.STAFF,
        at=said.written_at,
        # A comment has an id: reported twice, it is recorded once.
        message=f"missive-comment-{said.id}",
        note=note,
        words=said.text,
    )

    async def work(connection: Connection) -> None:
        await opt_outs.record(connection, statement, now)

    await transactions.retrying(api.webhooks, cause, work)
