"""Replies, STOP and START: what a person who writes back wants, and that it holds.

Recording comes first and then the texts that have not left are taken out, in one transaction. A sender that starts a
text at the same moment either committed before (the text has left) or waits for the row and then finds it skipped; one
whose row was not visible yet (a draw under way) checks `opt_outs` and `replies` in the statement that starts it.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from libs.common import database, lifecycle, store, telemetry, texts
from libs.common import events as e
from libs.common.database import Connection

#: Twilio's default keywords ("Twilio support for opt-out keywords"), with what Spanish speakers write.
STOP_WORDS = frozenset(
    "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT ALTO PARAR BAJA".split()  # noqa: SIM905
)
#: YES, which Twilio also takes, is left out: it answers a newsroom's question more often than it asks for texts.
START_WORDS = frozenset({"START", "UNSTOP"})

#: A reply, once; the same message told twice, or by both providers, is one row.
RECORD = """
INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at)
VALUES (%(provider_id)s, %(phone_number)s, %(contact_id)s, %(broadcast_id)s, %(body)s, %(received_at)s)
ON CONFLICT (provider_id) DO NOTHING RETURNING id
"""

#: The broadcast that somebody answers: the last one whose first message to them has begun to leave by then, of those
#: from the number that they wrote to, if there are any. Providers' clocks are not ours: one that left up to 5 seconds
#: after the reply is better than none.
ANSWERED = """
SELECT m.broadcast_id, m.contact_id
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = b.sending_number_id
WHERE m.recipient_phone_number = %(phone_number)s AND NOT m.is_second
  AND m.attempt_started_at <= %(received_at)s + interval '5 seconds'
  AND m.state IN ('started', 'uncertain', 'accepted')
ORDER BY (n.phone_number = %(to)s) IS TRUE DESC, m.attempt_started_at <= %(received_at)s DESC,
         m.attempt_started_at DESC, m.id DESC
LIMIT 1
"""

#: Replies to nothing that was known when they came.
UNATTRIBUTED = """
SELECT id, phone_number, received_at FROM replies
WHERE received_at >= %(since)s AND broadcast_id IS NULL AND phone_number IS NOT NULL ORDER BY received_at, id
FOR NO KEY UPDATE
"""
ATTRIBUTE = "UPDATE replies SET broadcast_id = %(broadcast_id)s, contact_id = %(contact_id)s WHERE id = %(id)s"

CONTACT = "SELECT id FROM contacts WHERE phone_number = %(phone_number)s"

#: Somebody unknown who says STOP becomes a contact without tags, so that events can name them by id. The row of one who
#: is known is not locked: an erasure, or another reply of theirs, would wait for it while we wait for theirs.
NEW_CONTACT = "INSERT INTO contacts (phone_number) VALUES (%(phone_number)s) ON CONFLICT DO NOTHING"

#: The time is that of the last wish: whoever says STOP again means it again.
OPT_OUT = """
INSERT INTO opt_outs AS o (phone_number, contact_id, source, opted_out_at)
VALUES (%(phone_number)s, %(contact_id)s, %(source)s, %(at)s)
ON CONFLICT (phone_number) DO UPDATE SET opted_out_at = greatest(o.opted_out_at, excluded.opted_out_at)
RETURNING xmax = 0 AS is_new
"""
#: A wish that is older than the opt-out is none any more: webhooks come late, and again.
OPT_IN = """
DELETE FROM opt_outs WHERE phone_number = %(phone_number)s AND opted_out_at <= %(at)s RETURNING contact_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message that somebody sent to one of our numbers."""

    #: The provider's id: Twilio's sid where it is known, else Missive's.
    provider_id: str
    #: E.164.
    phone_number: str
    body: str
    received_at: datetime
    #: Which of our numbers it was sent to, E.164; None where the provider does not say.
    to: str | None = None


def wish(body: str) -> Literal["stop", "start"] | None:
    """Tell whether a whole message asks to stop or to start again.

    Case, white space, accents and punctuation around it do not count; a word inside a sentence is no wish
    ("don't stop", "restart").
    """
    plain = unicodedata.normalize("NFKD", body)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    word = re.sub(r"^[\W_]+|[\W_]+$", "", plain).upper()
    word = re.sub(r"[\s\-]+", "", word) if word in ("STOP ALL", "OPT OUT", "OPT-OUT") else word
    if word in STOP_WORDS:
        return "stop"
    return "start" if word in START_WORDS else None


def storable(body: str) -> str:
    """Take out of a text what PostgreSQL cannot store."""
    return body.replace("\x00", "").encode(errors="replace").decode()


async def receive(connection: Connection, inbound: Inbound, now: datetime) -> bool:
    """Record a reply and do what it asks for; False if it was recorded before.

    Any reply to a broadcast takes out that person's second message; STOP takes out everything.
    """
    who = {"phone_number": inbound.phone_number, "received_at": inbound.received_at, "to": inbound.to}
    answered = await (await connection.execute(ANSWERED, who)).fetchone()
    contact = answered or await (await connection.execute(CONTACT, who)).fetchone()
    broadcast_id = answered["broadcast_id"] if answered else None
    contact_id = (contact.get("contact_id") or contact.get("id")) if contact else None
    cursor = await connection.execute(
        RECORD,
        {
            "provider_id": inbound.provider_id,
            **who,
            "contact_id": contact_id,
            "broadcast_id": broadcast_id,
            "body": inbound.body,
        },
    )
    reply = await cursor.fetchone()
    if reply is None:
        return False
    said = wish(inbound.body)
    if broadcast_id is not None and contact_id is not None:
        event = e.ReplyReceived(broadcast_id=broadcast_id, reply_id=reply["id"], contact_id=contact_id)
        await lifecycle.note(connection, store.stream(broadcast_id, "replies"), [event], now)
        if said != "stop":  # which takes out everything, this too
            await _take_out_second(connection, broadcast_id, contact_id, now)
    number, at = inbound.phone_number, inbound.received_at
    match said:
        case "stop":
            await opt_out(connection, number, "sms", now, at=at, broadcast_id=broadcast_id)
        case "start":
            await opt_in(connection, number, "sms", now, at=at, broadcast_id=broadcast_id)
        case None:
            pass
    return True


async def attribute(connection: Connection, since: datetime, now: datetime) -> int:
    """Have replies since then that answered nothing known answer what is known now; give how many do.

    While a restored database is not settled, the texts that people reply to are not known to have left.
    """
    cursor = await connection.execute(UNATTRIBUTED, {"since": since})
    found = 0
    for reply in await cursor.fetchall():
        who = {"phone_number": reply["phone_number"], "received_at": reply["received_at"], "to": None}
        answered = await (await connection.execute(ANSWERED, who)).fetchone()
        if answered is not None:
            await connection.execute(ATTRIBUTE, {**answered, "id": reply["id"]})
            event = e.ReplyReceived(**answered, reply_id=reply["id"])
            await lifecycle.note(connection, store.stream(event.broadcast_id, "replies"), [event], now)
            await _take_out_second(connection, event.broadcast_id, event.contact_id, now)
            found += 1
    return found


async def _take_out_second(connection: Connection, broadcast_id: int, contact_id: int, now: datetime) -> None:
    """Skip the second message of somebody who answered a broadcast."""
    cursor = await connection.execute(texts.OPEN_SECOND, {"broadcast_id": broadcast_id, "contact_id": contact_id})
    unsent = [row["id"] for row in await cursor.fetchall() if row["is_unsent"]]
    await texts.skip(connection, broadcast_id, unsent, "replied", now)


async def opt_out(
    connection: Connection,
    phone_number: str,
    source: Literal["sms", "carrier", "staff"],
    now: datetime,
    *,
    at: datetime | None = None,
    broadcast_id: int | None = None,
) -> bool:
    """Record that a number wants nothing more, and take out what has not left for it; False if that was known.

    `at` is when they said so, now unless it is given.
    """
    who = {"phone_number": phone_number}
    contact = await (await connection.execute(CONTACT, who)).fetchone()
    if contact is None:
        await connection.execute(NEW_CONTACT, who)
        contact = await (await connection.execute(CONTACT, who)).fetchone()
    assert contact is not None
    cursor = await connection.execute(
        OPT_OUT, {"phone_number": phone_number, "contact_id": contact["id"], "source": source, "at": at or now}
    )
    row = await cursor.fetchone()
    new = row is not None and bool(row["is_new"])
    if new:
        event = e.OptedOut(contact_id=contact["id"], source=source, broadcast_id=broadcast_id)
        await lifecycle.note(connection, f"contact-{contact['id']}", [event], now)
        database.when_committed(telemetry.OPT_OUTS.labels(source).inc)
    await take_out(connection, phone_number, "opted_out", now, answered=broadcast_id if source == "sms" else None)
    return new


async def take_out(
    connection: Connection, phone_number: str, reason: str, now: datetime, *, answered: int | None = None
) -> None:
    """Skip every text to a number that has not left; the second message of the broadcast `answered` as replied to."""
    cursor = await connection.execute(texts.OPEN_TO, {"phone_number": phone_number})
    unsent: dict[tuple[int, str], list[int]] = {}
    for row in await cursor.fetchall():
        if row["is_unsent"]:
            why = "replied" if row["is_second"] and row["broadcast_id"] == answered else reason
            unsent.setdefault((row["broadcast_id"], why), []).append(row["id"])
    # By broadcast, since their streams are locked: two who say STOP at once do not wait for each other.
    for (unsent_of, why), ids in sorted(unsent.items()):
        await texts.skip(connection, unsent_of, ids, why, now)


async def opt_in(
    connection: Connection,
    phone_number: str,
    source: Literal["sms", "staff"],
    now: datetime,
    *,
    at: datetime | None = None,
    broadcast_id: int | None = None,
) -> bool:
    """Record that a number wants to hear from us again; False if it never said otherwise, or has said so since.

    `at` is when they said so, now unless it is given.
    """
    cursor = await connection.execute(OPT_IN, {"phone_number": phone_number, "at": at or now})
    row = await cursor.fetchone()
    if row is None:
        return False
    event = e.OptedIn(contact_id=row["contact_id"], source=source, broadcast_id=broadcast_id)
    await lifecycle.note(connection, f"contact-{row['contact_id']}", [event], now)
    return True
