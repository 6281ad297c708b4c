"""Missive's conversations: whose labels are tags, and which one is a part of another by now.

Staff label conversations. Where settings say so, a label of a conversation is a tag of the person in it: the tag comes
with the label and goes with it, unless another conversation of the same person gives it, too. Labels are told by
webhooks, and once a day by a pass over Missive's API, which makes up for webhooks that were lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts.opt_outs import NEW_CONTACT
from libs.common.carriers.missive_conversations import Labelled
from libs.common.database import Connection, one_row
from libs.common.domain import tags
from libs.common.domain.events.registers import ContactChanged
from libs.common.eventstore import store

#: The name in the settings that means every label.
EVERY = "*"

CONTACT = text("SELECT id FROM contacts WHERE phone_number = :phone_number FOR NO KEY UPDATE")

#: Puts a conversation on record, or keeps the one that is as it is until the transaction ends.
KEEP = text("""
INSERT INTO missive_conversations AS c (id, contact_id, seen_at) VALUES (:id, :contact_id, :now)
ON CONFLICT (id) DO UPDATE SET contact_id = coalesce(excluded.contact_id, c.contact_id),
    seen_at = greatest(c.seen_at, excluded.seen_at)
RETURNING c.contact_id, c.tags
""")
WRITE = text("UPDATE missive_conversations SET tags = :new_tags WHERE id = :id")

#: Changes the tags of a contact; no row where nothing changes. A tag that another conversation gives stays.
CHANGE = text("""
WITH wanted AS (
    SELECT c.id, ARRAY(
        SELECT tag FROM unnest(c.tags) AS tag
        WHERE tag <> ALL (CAST(:gone AS text[])) OR EXISTS (
            SELECT FROM missive_conversations m WHERE m.contact_id = c.id AND m.id <> :id AND tag = ANY (m.tags))
        UNION SELECT tag FROM unnest(CAST(:come AS text[])) AS tag ORDER BY 1
    ) AS tags
    FROM contacts c WHERE c.id = :contact_id AND c.erased_at IS NULL
)
UPDATE contacts c SET tags = wanted.tags FROM wanted WHERE c.id = wanted.id AND c.tags <> wanted.tags
""")

#: Conversations that still give tags, and that a pass since `since` has not seen: their labels were taken off.
UNSEEN = text("SELECT id FROM missive_conversations WHERE tags <> '{}' AND seen_at < :since ORDER BY id LIMIT :limit")

#: Has a conversation, and those that are parts of it, be a part of another one.
MERGE = text("""
WITH others AS (UPDATE missive_conversations SET merged_into = :into WHERE merged_into = :id)
INSERT INTO missive_conversations (id, merged_into) VALUES (:id, :into)
ON CONFLICT (id) DO UPDATE SET merged_into = excluded.merged_into, tags = '{}'
""")
#: What a conversation gives, taken over by the one that it is a part of.
TAKE_OVER = text("""
INSERT INTO missive_conversations AS c (id, contact_id, tags)
SELECT :into, contact_id, tags FROM missive_conversations WHERE id = :id
ON CONFLICT (id) DO UPDATE SET merged_into = NULL, contact_id = coalesce(c.contact_id, excluded.contact_id),
    tags = ARRAY(SELECT unnest(c.tags) UNION SELECT unnest(excluded.tags) ORDER BY 1)
""")

#: Where a message was known to stand, by Twilio's id of it, if that is not where it stands now.
STOOD_IN = text("""
SELECT coalesce(k.merged_into, told.id) AS id
FROM (
    SELECT missive_conversation_id AS id FROM replies WHERE provider_id = :sid
    UNION ALL
    SELECT missive_conversation_id FROM broadcast_sent_message_status WHERE twilio_id = :sid
) AS told
LEFT JOIN missive_conversations k ON k.id = told.id
WHERE coalesce(k.merged_into, told.id) <> :id
LIMIT 1
""")

FORGET = text("DELETE FROM missive_conversations WHERE contact_id = :id")


@dataclass(frozen=True, slots=True)
class _Kept:
    contact_id: int | None
    tags: list[str]


def is_followed(label: str, followed: Sequence[str]) -> bool:
    """Whether a label, by its name, is a tag."""
    return EVERY in followed or label in followed


def tags_of(labels: Sequence[str], followed: Sequence[str]) -> list[str]:
    """Return the tags that labels give: of those that are followed, by name, whichever can be a tag; sorted."""
    found = set()
    for label in labels:
        if is_followed(label, followed):
            try:
                found.add(tags.checked(label.strip()))
            except ValueError:
                continue
    return sorted(found)


async def label(connection: Connection, told: Labelled, followed: Sequence[str], now: datetime) -> bool:
    """Tag the person of a conversation by its labels, and take the tags back of labels that are off.

    Return whether that changes the person. Somebody with such a label who is no contact becomes one: whoever follows a
    label wants those people in the audience.
    """
    wanted = tags_of(told.labels, followed)
    contact_id: int | None = None
    if told.phone_number is not None:
        who = {"phone_number": told.phone_number}
        if wanted:
            await connection.execute(NEW_CONTACT, who)
        contact_id = (await connection.execute(CONTACT, who)).scalar_one_or_none()
    kept = one_row(await connection.execute(KEEP, {"id": told.id, "contact_id": contact_id, "now": now}), _Kept)
    gone = sorted(set(kept.tags) - set(wanted))
    if not wanted and not gone:
        return False
    await connection.execute(WRITE, {"id": told.id, "new_tags": wanted})
    whose = contact_id or kept.contact_id
    changes = {"id": told.id, "contact_id": whose, "gone": gone, "come": wanted}
    if whose is None or not (await connection.execute(CHANGE, changes)).rowcount:
        return False
    event = ContactChanged(contact_id=whose, fields=("tags",))
    await store.append(connection, f"contact-{whose}", [event], now=now)
    return True


async def unseen(connection: Connection, since: datetime, limit: int) -> Sequence[str]:
    """Return some conversations that give tags and whose labels nobody has told since then."""
    return (await connection.execute(UNSEEN, {"since": since, "limit": limit})).scalars().all()


async def follow(connection: Connection, sid: str, conversation_id: str) -> bool:
    """Note what follows from where a message stands now: the conversation that it stood in was merged into this one.

    The message is known by Twilio's id. Return whether it is news.
    """
    stood_in = (await connection.execute(STOOD_IN, {"sid": sid, "id": conversation_id})).scalar_one_or_none()
    if stood_in is None:
        return False
    await merge(connection, stood_in, conversation_id)
    return True


async def merge(connection: Connection, conversation_id: str, into: str) -> None:
    """Note that a conversation is a part of another one by now: links to it lead there, and its labels count there."""
    names = {"id": conversation_id, "into": into}
    await connection.execute(TAKE_OVER, names)
    await connection.execute(MERGE, names)
