"""The consent register: every yes and every no, by number and then by time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.common.broadcasts.suppression import opted_out
from libs.common.database import Connection, EnumText, all_rows
from libs.common.domain.keywords import Wish
from libs.common.domain.states import ConsentSource
from libs.common.eventstore.store import ACTOR_NAME

_ENUMS: dict[str, EnumText[Any]] = {"wish": EnumText(Wish), "source": EnumText(ConsentSource)}

#: Rows behind a place, in order. What somebody has said who was erased is gone, but for an opt-out: it has no record,
#: and stands as itself.
BEHIND = text(f"""
SELECT r.phone_number, r.record, r.wish, r.source, r.at, r.words, r.note, r.actor, {ACTOR_NAME} AS actor_name,
       (SELECT c.id FROM contacts c WHERE c.phone_number = r.phone_number) AS contact_id,
       {opted_out("r.phone_number")} AS opted_out_now
FROM (
    (SELECT phone_number, record, wish, source, at, words, note, actor FROM consent_records
     WHERE phone_number >= :number AND (phone_number, at, record) > (:number, CAST(:at AS timestamptz), :record)
     ORDER BY phone_number, at, record LIMIT :limit)
    UNION ALL
    (SELECT phone_number, '', '{Wish.STOP}', source, opted_out_at, '', '', actor FROM opt_outs
     WHERE record IS NULL AND phone_number >= :number
       AND (phone_number, opted_out_at, '') > (:number, CAST(:at AS timestamptz), :record)
     ORDER BY phone_number LIMIT :limit)
) AS r ORDER BY r.phone_number, r.at, r.record LIMIT :limit
""").columns(**_ENUMS)


@dataclass(frozen=True, slots=True)
class Said:
    """A yes or a no."""

    #: E.164.
    phone_number: str
    #: Empty for an opt-out of somebody who was erased.
    record: str
    wish: Wish
    source: ConsentSource
    #: When it was said.
    at: datetime
    #: What somebody wrote; empty where nobody wrote, or the words were forgotten.
    words: str
    #: Why, in the words of staff, or which import it was.
    note: str
    #: Who put it on record, as `Actor` writes it, and the user's name where it was a user.
    actor: str
    actor_name: str | None
    contact_id: int | None
    #: Whether the number is opted out by all that is on record of it.
    opted_out_now: bool


async def behind(connection: Connection, last: Said | None, first: datetime, limit: int) -> Sequence[Said]:
    """Return the rows behind one of them, or the first ones; `first` is a time before all of them."""
    place: dict[str, Any] = {"number": "", "at": first, "record": ""}
    if last is not None:
        place = {"number": last.phone_number, "at": last.at, "record": last.record}
    return all_rows(await connection.execute(BEHIND, {**place, "limit": limit}), Said)
