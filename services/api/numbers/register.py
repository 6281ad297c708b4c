"""The register of our numbers as staff see and change it: the HTTP API and the pages do the same.

Which numbers are ours is configuration; no request can add one. What is kept of each says how it sends.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import bindparam, text

from libs.common.broadcasts import scheduling
from libs.common.broadcasts.sending_numbers import COLUMNS, TYPES
from libs.common.database import Connection, all_rows, first_row
from libs.common.domain.events.registers import NumberChanged
from libs.common.domain.sending_numbers import CarrierName, SendingNumber, closed_hours
from libs.common.errors import NotFound
from libs.common.eventstore import store
from libs.common.rate_limits import daily
from libs.common.settings import Settings
from libs.common.texts import gettext_noop as n_
from services.api.http import versions
from services.api.http.errors import InvalidFields
from services.api.numbers import health
from services.api.numbers.health import Health
from services.api.numbers.schemas import ListedNumber, Number, NumberChanges, NumberHealth

#: What may be changed.
FIELDS = NumberChanges.__struct_fields__

#: Makes sure that each number of ours has a row; most times there is nothing to add.
ADD = text("""
INSERT INTO sending_numbers (phone_number)
SELECT ours.number FROM unnest(CAST(:numbers AS text[])) AS ours (number)
WHERE NOT EXISTS (SELECT FROM sending_numbers n WHERE n.phone_number = ours.number)
ON CONFLICT DO NOTHING
""")

#: Our numbers, in the settings' order.
OURS = text(f"""
SELECT {COLUMNS} FROM sending_numbers n
JOIN unnest(CAST(:numbers AS text[])) WITH ORDINALITY AS ours (number, place) ON ours.number = n.phone_number
ORDER BY ours.place
""").columns(**TYPES)

_ONE = f"SELECT {COLUMNS} FROM sending_numbers n WHERE n.id = :id AND n.phone_number = ANY(CAST(:numbers AS text[]))"

#: One of them, as it is, and so that it stays until the transaction ends.
ONE = text(_ONE).columns(**TYPES)
LOCK = text(f"{_ONE} FOR NO KEY UPDATE").columns(**TYPES)

#: One by its phone number.
BY_NUMBER = text(f"SELECT {COLUMNS} FROM sending_numbers n WHERE n.phone_number = :number").columns(**TYPES)

CHANGE = text("""
UPDATE sending_numbers SET carrier = :new_carrier, rate = :new_rate, minute_limit = :new_minute_limit,
    daily_cap = :new_daily_cap, hours = :new_hours, enabled = :new_enabled,
    messaging_service_sid = :new_messaging_service_sid
WHERE id = :id
""").bindparams(bindparam("new_carrier", type_=TYPES["carrier"]))

#: Notes that a Messaging Service sends for a number, and gives for which; another number's stays that one's.
KEEP_SERVICE = text("""
INSERT INTO messaging_services AS s (sid, sending_number_id) VALUES (:sid, :id)
ON CONFLICT (sid) DO UPDATE SET sid = s.sid RETURNING sending_number_id
""")


async def everything(connection: Connection, settings: Settings, now: datetime) -> list[ListedNumber]:
    """Return our numbers in the settings' order, with how each does."""
    numbers = {"numbers": list(settings.own_numbers)}
    await connection.execute(ADD, numbers)
    found = all_rows(await connection.execute(OURS, numbers), SendingNumber)
    healths = await health.read(connection, [each.phone_number for each in found], settings.carrier, now)
    return [
        ListedNumber(
            **msgspec.structs.asdict(_shown(number, settings)),
            health=_health(known, await _started_today(connection, number, settings, now)),
        )
        for number, known in zip(found, healths, strict=True)
    ]


async def one(connection: Connection, number_id: int, settings: Settings) -> Number:
    """Return a number of ours. Raise NotFound."""
    return _shown(await _one(connection, number_id, settings), settings)


async def of(connection: Connection, phone_number: str) -> SendingNumber:
    """Return how a number sends; one of which nothing is kept sends as the settings say."""
    cursor = await connection.execute(BY_NUMBER, {"number": phone_number})
    return first_row(cursor, SendingNumber) or SendingNumber(0, phone_number)


async def change(
    connection: Connection,
    number_id: int,
    changes: NumberChanges,
    settings: Settings,
    now: datetime,
    *,
    wanted: frozenset[str] | None,
) -> Number:
    """Change how a number sends, from its next batch on, and return it. Raise InvalidFields, Changed, NotFound.

    `wanted` are the versions that may be changed (`versions.tag`); None if any may.
    """
    before = await _one(connection, number_id, settings, lock=True)
    versions.check(wanted, _shown(before, settings))
    given: dict[str, Any] = {
        field: getattr(before, field) if (value := getattr(changes, field)) is UNSET else value for field in FIELDS
    }
    try:
        closed_hours(given["hours"])
    except ValueError as error:
        raise InvalidFields(("hours", n_("must begin and end at different times"))) from error
    await _check_service(connection, replace(before, **given), settings)
    fields = tuple(field for field in FIELDS if given[field] != getattr(before, field))
    if fields:
        new = {f"new_{field}": value for field, value in given.items()}
        await connection.execute(CHANGE, {"id": number_id, **new})
        event = NumberChanged(sending_number_id=number_id, fields=fields)
        await store.append(connection, f"number-{number_id}", [event], now=now)
        await scheduling.look_at_number_again(connection, number_id, now)
    return await one(connection, number_id, settings)


async def _check_service(connection: Connection, number: SendingNumber, settings: Settings) -> None:
    """Note which Messaging Service sends for a number, for good. Raise InvalidFields where it cannot."""
    sid = number.messaging_service_sid
    if sid is None:
        return
    if number.carrier_or(settings.carrier) is not CarrierName.TWILIO:
        raise InvalidFields(("messaging_service_sid", n_("is Twilio's: the number has to send through Twilio")))
    cursor = await connection.execute(KEEP_SERVICE, {"sid": sid, "id": number.id})
    if cursor.scalar_one() != number.id:
        raise InvalidFields(("messaging_service_sid", n_("sends for another of our numbers, or has sent for it")))


async def _one(connection: Connection, number_id: int, settings: Settings, *, lock: bool = False) -> SendingNumber:
    given = {"id": number_id, "numbers": list(settings.own_numbers)}
    number = first_row(await connection.execute(LOCK if lock else ONE, given), SendingNumber)
    if number is None:
        raise NotFound(f"there is no number {number_id} of ours")
    return number


def _shown(number: SendingNumber, settings: Settings) -> Number:
    return Number(
        id=number.id,
        phone_number=number.phone_number,
        is_usual=number.phone_number == settings.from_number,
        carrier=number.carrier,
        carrier_in_use=number.carrier_or(settings.carrier),
        rate=number.rate,
        rate_in_use=number.rate_or(settings.send_rate),
        minute_limit=number.minute_limit,
        daily_cap=number.daily_cap,
        hours=number.hours,
        enabled=number.enabled,
        messaging_service_sid=number.messaging_service_sid,
    )


async def _started_today(
    connection: Connection, number: SendingNumber, settings: Settings, now: datetime
) -> int | None:
    day = daily.today(number, now, settings.zone)
    return None if day is None else await daily.started(connection, number.id, day.day)


def _health(known: Health, started_today: int | None) -> NumberHealth:
    return NumberHealth(
        failing_since=known.failing_since,
        held_until=known.held_until,
        last_accepted_at=known.last_accepted_at,
        last_refused_at=known.last_refused_at,
        last_refused_code=known.last_refused_code,
        failed_lately=known.failed_lately,
        started_today=started_today,
    )
