"""Erase people: their number, name, tags, attributes and words are deleted. What was not sent to them will not be.

Events name people by id only, and stay. Of an opt-out only the number stays. A message whose end is not known yet is
looked up by its number and its words, so it keeps them until then; the planner deletes them afterwards.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts import (
    conversations,
    opt_outs,
    personal_words,
    replies,
    sign_ups,
    single_messages,
    unreachable,
)
from libs.common.database import Connection, first_row, literals
from libs.common.domain.events.registers import ContactErased
from libs.common.domain.states import ENDED, ConsentSource, MessageState, SkipReason
from libs.common.errors import NotFound
from libs.common.eventstore import store

#: Locks a contact against every other use, a draw that is under way included.
LOCK = text("SELECT id, phone_number FROM contacts WHERE id = :id FOR UPDATE")

#: Locks in the same way whoever has a number.
LOCK_NUMBER = text("SELECT id, phone_number FROM contacts WHERE phone_number = :phone_number FOR UPDATE")

#: Whether anything is stored by a number, but that it opted out.
KNOWN = text("""
SELECT EXISTS (SELECT FROM contacts WHERE phone_number = :phone_number)
    OR EXISTS (SELECT FROM replies WHERE phone_number = :phone_number)
    OR EXISTS (SELECT FROM outgoing_messages WHERE recipient_phone_number = :phone_number)
    OR EXISTS (SELECT FROM sign_ups WHERE phone_number = :phone_number)
    OR EXISTS (SELECT FROM single_messages WHERE phone_number = :phone_number) AS known
""")

#: Erasing, step by step.
FORGET_CONTACT = text("""
UPDATE contacts SET phone_number = NULL, name = '', tags = '{}', attributes = '{}', time_zone = NULL, language = NULL,
    erased_at = :now
WHERE id = :id AND erased_at IS NULL
""")
FORGET_MESSAGES = personal_words.forgetting(f"""
UPDATE outgoing_messages m SET recipient_phone_number = NULL
WHERE (m.contact_id = :id OR m.recipient_phone_number = :phone_number)
  AND m.recipient_phone_number IS NOT NULL AND m.state IN {literals(ENDED)}
""")
FORGET_REPLIES = text(f"""
UPDATE replies SET {replies.FORGOTTEN}
WHERE contact_id = :id OR phone_number = :phone_number
""")
FORGET_SINGLE_MESSAGES = text(f"""
UPDATE single_messages SET {single_messages.FORGOTTEN}
WHERE contact_id = :id OR phone_number = :phone_number
""")

#: What an import has made of them cannot be undone any more.
FORGET_IMPORTS = text("DELETE FROM contact_import_changes WHERE contact_id = :id")
#: Nor are they of a file any more.
FORGET_FILES = text("DELETE FROM contact_import_members WHERE contact_id = :id")
#: Nor has a file words for them.
FORGET_FILE_WORDS = text("DELETE FROM contact_import_bodies WHERE contact_id = :id")

#: Forgets the numbers of people who were erased while a message of theirs was still to be settled.
FORGET_SETTLED = personal_words.forgetting(f"""
UPDATE outgoing_messages m SET recipient_phone_number = NULL FROM contacts c
WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL AND m.recipient_phone_number IS NOT NULL
  AND m.state IN {literals(ENDED)}
""")

#: The same for messages that stay uncertain: their broadcast is over, and nobody looks for them any more.
FORGET_LEFT_UNCERTAIN = personal_words.forgetting(f"""
UPDATE outgoing_messages m SET recipient_phone_number = NULL FROM contacts c, broadcasts b
WHERE m.state = '{MessageState.UNCERTAIN}' AND b.id = m.broadcast_id AND b.completed_at IS NOT NULL
  AND c.id = m.contact_id AND c.erased_at IS NOT NULL AND m.recipient_phone_number IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class _Contact:
    """A contact whose row is locked until the transaction ends."""

    id: int
    #: None once the contact was erased.
    phone_number: str | None


async def erase(connection: Connection, contact_id: int, now: datetime) -> None:
    """Erase a contact; nothing happens to one who is erased. Raise NotFound."""
    contact = first_row(await connection.execute(LOCK, {"id": contact_id}), _Contact)
    if contact is None:
        raise NotFound(f"there is no contact {contact_id}")
    await _forget(connection, contact.id, contact.phone_number, now)


async def erase_number(connection: Connection, phone_number: str, now: datetime, *, opt_out: bool) -> None:
    """Erase whoever has a number, contact or not. Raise NotFound where nothing is stored by it.

    With `opt_out` the number is put on record as opted out first, and stays as that alone.
    """
    if not (await connection.execute(KNOWN, {"phone_number": phone_number})).scalar_one():
        raise NotFound("nobody has this number")
    contact = await _lock_number(connection, phone_number)
    if opt_out:
        await opt_outs.opt_out(connection, phone_number, ConsentSource.STAFF, now, note="erasure")
        contact = contact or await _lock_number(connection, phone_number)  # events name people by id
    await _forget(connection, contact.id if contact else None, phone_number, now)


async def forget_settled(connection: Connection) -> None:
    """Forget the numbers of people who were erased while a message of theirs was still to be settled."""
    await connection.execute(FORGET_SETTLED)


async def forget_left_uncertain(connection: Connection) -> None:
    """Forget the numbers of people who were erased, where their message stays uncertain."""
    await connection.execute(FORGET_LEFT_UNCERTAIN)


async def _lock_number(connection: Connection, phone_number: str) -> _Contact | None:
    return first_row(await connection.execute(LOCK_NUMBER, {"phone_number": phone_number}), _Contact)


async def _forget(connection: Connection, contact_id: int | None, phone_number: str | None, now: datetime) -> None:
    """Take out what was not sent, then number, name, tags, attributes and words."""
    if phone_number is not None:
        await opt_outs.skip_unsent_to(connection, phone_number, SkipReason.ERASED, now)
        await opt_outs.forget(connection, phone_number)
    who = {"id": contact_id, "phone_number": phone_number, "now": now}
    is_new = (await connection.execute(FORGET_CONTACT, who)).rowcount > 0
    for statement in (
        FORGET_IMPORTS,
        conversations.FORGET,
        FORGET_FILES,
        FORGET_FILE_WORDS,
        FORGET_MESSAGES,
        FORGET_REPLIES,
        FORGET_SINGLE_MESSAGES,
        unreachable.FORGET,
        sign_ups.FORGET,
    ):
        await connection.execute(statement, who)
    if contact_id is not None and is_new:
        await store.append(connection, f"contact-{contact_id}", [ContactErased(contact_id=contact_id)], now=now)
