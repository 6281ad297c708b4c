"""Notices in the database: what has happened that somebody wants to be told of, and what became of telling them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts.drafts import is_draft
from libs.common.database import Connection, EnumText, all_rows, literals, one_row
from libs.common.database.event_predicates import IS_TOLD
from libs.common.domain import events as e
from libs.common.domain.notices import NoticeChannel, NoticeKind, NoticeOutcome
from libs.common.domain.roles import OF_ROLE, Permission
from libs.common.domain.states import (
    DELIVERED,
    SENDING,
    UNANSWERED,
    UNDELIVERED,
    BroadcastState,
    Outcome,
    ReplyKind,
    Review,
)

#: The roles that may approve what others wrote.
APPROVERS = [role for role, permissions in OF_ROLE.items() if Permission.APPROVE in permissions]

#: After each of these, a broadcast that waits for approval is told of once.
VERSIONS = f"'{e.BroadcastScheduled.__name__}', '{e.BroadcastApproved.__name__}'"

#: Whether somebody has a message as far as is known: nobody has said that it failed.
_GOT = f"s.outcome = '{Outcome.ACCEPTED}' AND coalesce(s.twilio_sent_status, '') NOT IN {literals(UNDELIVERED)}"

#: Whether it is known to have been delivered.
_DELIVERED = f"coalesce(s.twilio_sent_status, '') IN {literals(DELIVERED)}"

#: Whether a broadcast, where it takes two, waits for the second.
_WAITS = f"""
(b.state = '{BroadcastState.SCHEDULED}' AND b.completed_at IS NULL AND b.approved_by IS NULL AND NOT {is_draft("b")})
"""

#: How far history was read.
READ_TO = text("SELECT coalesce(max(position), 0) FROM notices_read")
#: Writes how far history was read. It never goes back.
MOVE_ON = text("""
INSERT INTO notices_read AS r (position) VALUES (:position)
ON CONFLICT (one) DO UPDATE SET position = greatest(r.position, excluded.position)
""")

#: What happened behind a position that people may be told of.
HAPPENED = text(f"""
SELECT position, type, broadcast_id, data ->> 'reason' AS reason, actor, occurred_at FROM events
WHERE {IS_TOLD} AND position > :after ORDER BY position LIMIT :limit
""")

#: Plans a notice for each who wants one of its kind; one that is planned, or was, is not planned again. Likely opt-outs
#: come one by one, and are told of together: the next notice of them waits for a while after the last.
PLAN = text(f"""
INSERT INTO notices (target_id, kind, about, broadcast_id, reason, actor, happened_at, due_at)
SELECT t.id, CAST(:kind AS text), :about, :broadcast_id, :reason, :actor, :happened_at,
       CASE WHEN CAST(:kind AS text) = '{NoticeKind.LIKELY_OPT_OUTS}' THEN greatest(:now, (
           SELECT max(n.ended_at) + :apart FROM notices n
           WHERE n.target_id = t.id AND n.kind = '{NoticeKind.LIKELY_OPT_OUTS}'
             AND n.outcome = '{NoticeOutcome.SENT}')) ELSE :now END
FROM notice_targets t LEFT JOIN users u ON u.id = t.user_id
WHERE CAST(:kind AS text) = ANY(t.kinds) AND u.disabled_at IS NULL ORDER BY t.id
ON CONFLICT (target_id, kind, about) DO NOTHING
""")

#: Broadcasts of which nobody was told yet that many messages fail, of those whose fate is known; none where nobody
#: wants to be told.
FAILING = text(f"""
SELECT b.id FROM broadcasts b JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id
WHERE b.completed_at IS NULL AND b.state <> '{BroadcastState.MISSED}'
  AND b.state IN {literals((*SENDING, BroadcastState.SYNCING))} AND s.settled
  AND EXISTS (SELECT FROM notice_targets t WHERE '{NoticeKind.MANY_FAILURES}' = ANY(t.kinds))
  AND NOT EXISTS (SELECT FROM notices n WHERE n.kind = '{NoticeKind.MANY_FAILURES}' AND n.about = b.id)
GROUP BY b.id
HAVING count(*) FILTER (WHERE NOT ({_GOT}))
       >= greatest(CAST(:least AS bigint), CAST(:share AS float8) * count(*))
""")

#: Whether a user, where it is one, may approve what a broadcast's author wrote.
_MAY_APPROVE = f"""
(t.user_id IS NULL OR (u.role IN {literals(APPROVERS)} AND b.author <> 'user:' || u.id))
"""

#: Plans a notice of each broadcast that waits for approval, for each who wants one and may give it. One who was told of
#: a broadcast is told again only after somebody has approved it, and a change has taken that back.
PLAN_APPROVALS = text(f"""
INSERT INTO notices (target_id, kind, about, broadcast_id, actor, happened_at, due_at)
SELECT t.id, '{NoticeKind.WANTS_APPROVAL}', version.about, b.id, b.author, :now, :now
FROM broadcasts b
CROSS JOIN LATERAL (
    SELECT max(position) AS about FROM events
    WHERE broadcast_id = b.id AND type IN ({VERSIONS})
) AS version
CROSS JOIN notice_targets t LEFT JOIN users u ON u.id = t.user_id
WHERE {_WAITS} AND version.about IS NOT NULL AND '{NoticeKind.WANTS_APPROVAL}' = ANY(t.kinds)
  AND u.disabled_at IS NULL AND {_MAY_APPROVE}
ORDER BY t.id, b.id
ON CONFLICT (target_id, kind, about) DO NOTHING
""")

#: Takes what is due for as long as an attempt lasts. Of likely opt-outs the oldest notice of a target speaks for all.
TAKE = text(f"""
WITH taken AS (
    UPDATE notices SET due_at = :lease_until, attempts = attempts + 1 WHERE id = ANY(ARRAY(
        SELECT n.id FROM notices n WHERE n.ended_at IS NULL AND n.due_at <= :now AND NOT (
            n.kind = '{NoticeKind.LIKELY_OPT_OUTS}' AND EXISTS (
                SELECT FROM notices e WHERE e.ended_at IS NULL AND e.target_id = n.target_id
                AND e.kind = '{NoticeKind.LIKELY_OPT_OUTS}' AND e.id < n.id))
        ORDER BY n.due_at, n.id LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING id, target_id, kind, broadcast_id, reason, actor, happened_at, attempts
)
SELECT n.id, n.target_id, n.kind, n.broadcast_id, n.reason, doer.name AS doer, n.happened_at, n.attempts, b.run_at,
       t.channel, coalesce(nullif(t.address, ''), u.email) AS address, t.secret,
       (n.kind = ANY(t.kinds) OR n.kind = '{NoticeKind.TEST}') AND u.disabled_at IS NULL
       AND (n.kind <> '{NoticeKind.WANTS_APPROVAL}' OR ({_WAITS} AND {_MAY_APPROVE})) AS wanted
FROM taken n JOIN notice_targets t ON t.id = n.target_id LEFT JOIN users u ON u.id = t.user_id
LEFT JOIN users doer ON n.actor = 'user:' || doer.id LEFT JOIN broadcasts b ON b.id = n.broadcast_id
ORDER BY n.id
""").columns(kind=EnumText(NoticeKind), channel=EnumText(NoticeChannel))

#: What became of notices.
END = text("""
UPDATE notices SET ended_at = :now, outcome = :outcome, failure = :failure WHERE id = ANY(:ids) AND ended_at IS NULL
""")
#: Has a notice tried again later.
PUT_OFF = text("UPDATE notices SET due_at = :due_at, failure = :failure WHERE id = :id AND ended_at IS NULL")
#: Forgets notices that ended long ago.
PRUNE = text("DELETE FROM notices WHERE ended_at < :before")

#: How many have most likely asked to be left alone, and the notices that say so with this one.
LIKELY = text(f"""
SELECT (SELECT count(DISTINCT coalesce(phone_number, CAST(id AS text))) FROM replies
        WHERE review = '{Review.WAITING}') AS people,
       ARRAY(SELECT id FROM notices WHERE ended_at IS NULL AND target_id = :target_id
             AND kind = '{NoticeKind.LIKELY_OPT_OUTS}') AS notices
""")

#: What became of a broadcast's first and second messages.
FIGURES = text(f"""
SELECT coalesce(max(b.recipients), 0) AS people,
       count(*) FILTER (WHERE NOT s.is_second AND {_DELIVERED}) AS first,
       (SELECT count(*) FROM outgoing_messages m
        WHERE m.broadcast_id = :broadcast_id AND NOT m.is_second AND m.state IN {literals(UNANSWERED)})
       + count(*) FILTER (WHERE NOT s.is_second AND {_GOT} AND NOT {_DELIVERED}) AS no_word,
       count(*) FILTER (WHERE s.is_second AND {_GOT}) AS second,
       (SELECT count(DISTINCT contact_id) FROM replies
        WHERE broadcast_id = :broadcast_id AND kind = '{ReplyKind.OWN_WORDS}') AS replies,
       (SELECT count(DISTINCT data ->> 'contact_id') FROM events
        WHERE broadcast_id = :broadcast_id AND type = 'OptedOut') AS opt_outs,
       count(*) FILTER (WHERE s.settled) AS known,
       count(*) FILTER (WHERE s.settled AND NOT ({_GOT})) AS failed
FROM broadcasts b LEFT JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id WHERE b.id = :broadcast_id
""")

#: The code by which most of a broadcast's messages failed.
MOST = text(f"""
SELECT s.twilio_error_code AS code FROM broadcast_sent_message_status s
WHERE s.broadcast_id = :broadcast_id AND s.settled AND NOT ({_GOT})
GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that people may want to be told of."""

    position: int
    type: str
    broadcast_id: int | None
    reason: str | None
    actor: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A notice that is to be delivered now."""

    id: int
    target_id: int
    kind: NoticeKind
    broadcast_id: int | None
    #: Why it happened, where that is known, and the name of the user who did it.
    reason: str | None
    doer: str | None
    happened_at: datetime
    attempts: int
    #: When the broadcast was to go out.
    run_at: datetime | None
    channel: NoticeChannel
    address: str
    #: What a webhook is signed with.
    secret: str | None
    #: Whether somebody still wants it.
    wanted: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of a broadcast."""

    people: int
    #: People who are known to have the first message, and of whom there is no word.
    first: int
    no_word: int
    #: People who have the second message, or are not known not to.
    second: int
    replies: int
    opt_outs: int
    #: Messages whose fate is known, and how many of them failed.
    known: int
    failed: int


@dataclass(frozen=True, slots=True)
class Likely:
    """Who is likely to have opted out."""

    people: int
    #: The notices that are to say so: one does.
    notices: Sequence[int]


async def read_to(connection: Connection) -> int:
    """Return the position up to which history was read."""
    return int((await connection.execute(READ_TO)).scalar_one())


async def move_on(connection: Connection, position: int) -> None:
    """Write up to where history was read."""
    await connection.execute(MOVE_ON, {"position": position})


async def happened(connection: Connection, *, after: int, limit: int) -> list[Happened]:
    """Return what happened behind a position, the oldest first."""
    return all_rows(await connection.execute(HAPPENED, {"after": after, "limit": limit}), Happened)


async def plan_approvals(connection: Connection, now: datetime) -> None:
    """Plan notices of what waits for approval."""
    await connection.execute(PLAN_APPROVALS, {"now": now})


async def take(connection: Connection, now: datetime, *, lease_until: datetime, limit: int) -> list[Taken]:
    """Take notices that are due; nobody else tries them before the lease is over."""
    parameters = {"now": now, "lease_until": lease_until, "limit": limit}
    return all_rows(await connection.execute(TAKE, parameters), Taken)


async def end(
    connection: Connection, ids: Sequence[int], outcome: NoticeOutcome, now: datetime, failure: str | None = None
) -> None:
    """Write what became of notices."""
    parameters = {"ids": list(ids), "outcome": str(outcome), "now": now, "failure": failure}
    await connection.execute(END, parameters)


async def put_off(connection: Connection, notice_id: int, due_at: datetime, failure: str) -> None:
    """Have a notice tried again later."""
    await connection.execute(PUT_OFF, {"id": notice_id, "due_at": due_at, "failure": failure})


async def likely(connection: Connection, target_id: int) -> Likely:
    """Count who has most likely opted out, and return the notices that say so."""
    return one_row(await connection.execute(LIKELY, {"target_id": target_id}), Likely)


async def figures(connection: Connection, broadcast_id: int) -> Figures:
    """Count what became of a broadcast."""
    return one_row(await connection.execute(FIGURES, {"broadcast_id": broadcast_id}), Figures)


async def most_failed_by(connection: Connection, broadcast_id: int) -> str | None:
    """Return the code by which most messages of a broadcast failed; None where the carrier gave none."""
    code: str | None = (await connection.execute(MOST, {"broadcast_id": broadcast_id})).scalar()
    return code


async def prune(connection: Connection, before: datetime) -> None:
    """Forget notices that ended before a time."""
    await connection.execute(PRUNE, {"before": before})
