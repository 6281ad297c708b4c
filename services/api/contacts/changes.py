"""What staff change about a person, in a transaction that is given: the HTTP API and the pages do the same."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import UNSET, UnsetType

from libs.common.broadcasts import opt_outs
from libs.common.database import Connection
from libs.common.domain import attributes as rules
from libs.common.domain.attributes import Value
from libs.common.domain.events.registers import ContactChanged
from libs.common.domain.states import ConsentSource
from libs.common.errors import ConcurrencyError, Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.contacts import queries
from services.api.contacts.queries import Known
from services.api.http.errors import InvalidFields

#: What is known of somebody, and may be changed.
FIELDS = ("name", "tags", "attributes", "time_zone", "language")

#: What is known of somebody, and may be changed.
FIELDS = ("name", "tags", "attributes", "time_zone", "language")


async def change(
    connection: Connection,
    contact_id: int,
    now: datetime,
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    attributes: Mapping[str, Value | None] | None = None,
    time_zone: str | UnsetType | None = UNSET,
    language: str | UnsetType | None = UNSET,
    opted_out: bool | None = None,
    reason: str = "",
) -> None:
    """Change what is given; `reason` is why somebody is opted out, or in again, in the words of staff.

    Of `attributes` those that are named are changed; None removes one, and so it does time zone and language. Raise
    InvalidFields, NotFound, Conflict for somebody erased, and ConcurrencyError if it was changed meanwhile.
    """
    contact = await queries.one(connection, contact_id)
    if contact.phone_number is None:
        raise Conflict(n_("an erased contact cannot be changed"))
    # Messages first, the contact's row after them: the order in which a reply takes them.
    if opted_out is True:
        await opt_outs.opt_out(connection, contact.phone_number, ConsentSource.STAFF, now, note=reason)
    elif opted_out is False:
        await opt_outs.opt_in(connection, contact.phone_number, ConsentSource.STAFF, now, note=reason)
    known = Known(
        name=contact.name if name is None else unicodedata.normalize("NFC", name),
        tags=contact.tags if tags is None else list(tags),
        attributes=contact.attributes if attributes is None else _changed(contact.attributes, attributes),
        time_zone=contact.time_zone if time_zone is UNSET else time_zone,
        language=contact.language if language is UNSET else language,
    )
    if not await queries.change(connection, contact, known):  # changed or erased by somebody else meanwhile
        raise ConcurrencyError
    fields = tuple(field for field in FIELDS if getattr(known, field) != getattr(contact, field))
    if fields:
        event = ContactChanged(contact_id=contact_id, fields=fields)
        await store.append(connection, f"contact-{contact_id}", [event], now=now)


def _changed(before: Mapping[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    try:
        return rules.changed(before, changes)
    except ValueError as error:
        raise InvalidFields(("attributes", str(error))) from error
