"""Opt-outs from an imported file: hundreds at once, each recorded like a single one (`opt_outs.py`)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import opt_outs
from libs.common.database import Connection, literals
from libs.common.domain import events as e
from libs.common.domain.keywords import Wish
from libs.common.domain.states import UNDECIDED, UNREVIEWED, ConsentSource, SkipReason
from libs.common.eventstore import store
from libs.common.observability import telemetry

SOURCE = ConsentSource.FILE

#: Lets one transaction at a time record what these numbers want, locked in one order.
ALONE = text("""
SELECT count(pg_advisory_xact_lock(hashtext('broadsheet.consent'), each.hash)) FROM (
    SELECT DISTINCT hashtext(number) AS hash FROM unnest(CAST(:numbers AS text[])) AS number ORDER BY 1
) AS each
""")

#: Records the no of each, by its import. What a file says comes after all that is on record: whoever sends it means
#: that it holds now.
RECORD = text(f"""
INSERT INTO consent_records AS r (phone_number, record, wish, source, at, note, actor)
SELECT number, :record, '{Wish.STOP}', '{SOURCE}', greatest(:now, (
    SELECT max(k.at) + interval '1 microsecond' FROM consent_records k WHERE k.phone_number = number)), :note, :actor
FROM unnest(CAST(:numbers AS text[])) AS number ORDER BY number
ON CONFLICT (phone_number, record) DO UPDATE SET at = greatest(r.at, excluded.at)
""")

#: Puts those out who are not yet; who said so themselves stays on record as that.
OUT = text("""
INSERT INTO opt_outs (phone_number, contact_id, source, opted_out_at, record, actor)
SELECT r.phone_number, c.id, r.source, r.at, r.record, r.actor
FROM consent_records r JOIN contacts c USING (phone_number)
WHERE r.phone_number = ANY(CAST(:numbers AS text[])) AND r.record = :record
ORDER BY r.phone_number
ON CONFLICT (phone_number) DO NOTHING RETURNING contact_id
""")

#: Those of whom something was not sent yet, and those with a message that waits for a person.
CONCERNED = text(f"""
SELECT number FROM unnest(CAST(:numbers AS text[])) AS number
WHERE EXISTS (SELECT FROM outgoing_messages m WHERE m.recipient_phone_number = number
              AND m.state IN {literals(UNDECIDED)})
   OR EXISTS (SELECT FROM replies r WHERE r.phone_number = number AND r.review IN {literals(UNREVIEWED)})
ORDER BY number
""")


async def alone(connection: Connection, numbers: Sequence[str]) -> None:
    """Wait until nobody else records what these numbers want, until the transaction ends.

    To be called before the numbers' contacts are locked: who says STOP has this lock when they look for their contact.
    """
    await connection.execute(ALONE, {"numbers": list(numbers)})


async def record(connection: Connection, import_id: int, numbers: Sequence[str], now: datetime) -> int:
    """Put numbers on record as opted out by an import, all of which are contacts; return how many were not before.

    What was not sent to them is taken out, as after a STOP.
    """
    if not numbers:
        return 0
    which = {"numbers": list(numbers), "record": f"{SOURCE}:{Wish.STOP}:{import_id}"}
    said = {"now": now, "note": f"import {import_id}", "actor": str(database.actor_of(connection))}
    await connection.execute(RECORD, {**which, **said})
    new: list[int] = list((await connection.execute(OUT, which)).scalars())
    await store.append_each(
        connection,
        {f"contact-{contact_id}": e.OptedOut(contact_id=contact_id, source=SOURCE) for contact_id in new},
        now=now,
    )
    concerned: list[str] = list((await connection.execute(CONCERNED, which)).scalars())
    for number in concerned:
        await opt_outs.skip_unsent_to(connection, number, SkipReason.OPTED_OUT, now)
        await connection.execute(opt_outs.REVIEW, {"phone_number": number})
    database.on_commit(connection, lambda: telemetry.OPT_OUTS.labels(SOURCE).inc(len(new)))
    return len(new)
