"""Who looks after a reply: it is handed to a user, and done or open again."""

from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, literals
from libs.common.domain import roles
from libs.common.domain.events.registers import ReplyAssigned, ReplyDone, ReplyReopened
from libs.common.domain.roles import Permission
from libs.common.errors import Conflict, NotFound
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_

LOCK = text("SELECT assigned_to, done_at IS NOT NULL AS done FROM replies WHERE id = :id FOR NO KEY UPDATE")

#: Who may only look can do nothing about a reply.
LOOK_AFTER = [role for role, permissions in roles.OF_ROLE.items() if Permission.WRITE in permissions]

MAY_LOOK_AFTER = text(f"""
SELECT EXISTS (SELECT FROM users WHERE id = :user_id AND disabled_at IS NULL AND role IN {literals(LOOK_AFTER)})
""")

#: Whose it is. What is handed to somebody is open again.
ASSIGN = text("""
UPDATE replies SET assigned_to = :user_id, assigned_by = :by, done_at = NULL, done_by = NULL WHERE id = :id
""")
#: Whoever is done with a reply has read it.
FINISH = text("""
UPDATE replies SET done_at = :now, done_by = :by, read_at = coalesce(read_at, :now), read_by = coalesce(read_by, :by)
WHERE id = :id
""")
REOPEN = text("UPDATE replies SET done_at = NULL, done_by = NULL WHERE id = :id")


async def assign(connection: Connection, reply_id: int, user_id: int | None, by: str, now: datetime) -> None:
    """Hand a reply to a user, or to nobody any more. Raise NotFound, Conflict."""
    assigned_to, done = await _lock(connection, reply_id)
    if assigned_to == user_id and not done:
        return
    if user_id is not None and not (await connection.execute(MAY_LOOK_AFTER, {"user_id": user_id})).scalar_one():
        raise Conflict(n_("there is no such user, or one who may not sign in, or only look"))
    await connection.execute(ASSIGN, {"id": reply_id, "user_id": user_id, "by": None if user_id is None else by})
    await store.append(connection, _stream(reply_id), [ReplyAssigned(reply_id=reply_id, user_id=user_id)], now=now)


async def finish(connection: Connection, reply_id: int, by: str, now: datetime) -> None:
    """Record that nothing more is to be done about a reply; who said so first stays on record. Raise NotFound."""
    _, done = await _lock(connection, reply_id)
    if done:
        return
    await connection.execute(FINISH, {"id": reply_id, "by": by, "now": now})
    await store.append(connection, _stream(reply_id), [ReplyDone(reply_id=reply_id)], now=now)


async def reopen(connection: Connection, reply_id: int, now: datetime) -> None:
    """Record that something is to be done about a reply after all. Raise NotFound."""
    _, done = await _lock(connection, reply_id)
    if not done:
        return
    await connection.execute(REOPEN, {"id": reply_id})
    await store.append(connection, _stream(reply_id), [ReplyReopened(reply_id=reply_id)], now=now)


async def _lock(connection: Connection, reply_id: int) -> tuple[int | None, bool]:
    """Lock a reply; return whose it is, and whether it is done. Raise NotFound."""
    row = (await connection.execute(LOCK, {"id": reply_id})).first()
    if row is None:
        raise NotFound(f"there is no reply {reply_id}")
    return row.assigned_to, row.done


def _stream(reply_id: int) -> str:
    return f"reply-{reply_id}"
