"""What staff change about a person, in a transaction that is given: the HTTP API and the pages do the same."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

from libs.common.broadcasts import opt_outs
from libs.common.database import Connection
from libs.common.domain.events.registers import ContactChanged
from libs.common.domain.states import ConsentSource
from libs.common.errors import ConcurrencyError, Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.contacts import queries


async def change(
    connection: Connection,
    contact_id: int,
    now: datetime,
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    opted_out: bool | None = None,
    reason: str = "",
) -> None:
    """Change what is not None; `reason` is why somebody is opted out, or in again, in the words of staff.

    Raise NotFound, Conflict for somebody erased, and ConcurrencyError if it was changed meanwhile.
    """
    contact = await queries.one(connection, contact_id)
    if contact.phone_number is None:
        raise Conflict(n_("an erased contact cannot be changed"))
    # Messages first, the contact's row after them: the order in which a reply takes them.
    if opted_out is True:
        await opt_outs.opt_out(connection, contact.phone_number, ConsentSource.STAFF, now, note=reason)
    elif opted_out is False:
        await opt_outs.opt_in(connection, contact.phone_number, ConsentSource.STAFF, now, note=reason)
    composed = None if name is None else unicodedata.normalize("NFC", name)
    if not await queries.change(connection, contact, composed, tags):  # changed or erased by somebody else meanwhile
        raise ConcurrencyError
    is_new = {
        "name": composed not in (None, contact.name),
        "tags": tags is not None and list(tags) != list(contact.tags),
    }
    fields = tuple(field for field, new in is_new.items() if new)
    if fields:
        event = ContactChanged(contact_id=contact_id, fields=fields)
        await store.append(connection, f"contact-{contact_id}", [event], now=now)
