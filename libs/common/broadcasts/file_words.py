"""The words that a file has for each person (`contact_import_bodies`): which file, and until when they are kept.

A broadcast to such a file has them for `{{ message }}` and `{{ follow_up }}` (`personal_words`). They are kept until
they have gone out, or cannot any more: a broadcast that is called back is made with them again. What each person got is
kept with the message from then on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Connection, literals
from libs.common.domain.states import BroadcastState, SegmentRole

#: For how long words wait that no broadcast is to take.
KEPT = timedelta(days=7)
AT_ONCE = 50_000  # rows that one transaction forgets

#: The file whose people a segment of some is, as long as its words are kept.
OF_SEGMENTS = text("""
SELECT i.id FROM audience_segments a JOIN contact_imports i ON i.id = a.import_id
WHERE a.id = ANY(CAST(:ids AS bigint[])) AND i.has_bodies LIMIT 1
""")

#: The same of a broadcast.
OF_BROADCAST = text(f"""
SELECT i.id FROM broadcasts_segments s JOIN audience_segments a ON a.id = s.segment_id
JOIN contact_imports i ON i.id = a.import_id
WHERE s.broadcast_id = :id AND s.role = '{SegmentRole.SHARE}' AND i.has_bodies LIMIT 1
""")

FIRST_NUMBER = text("""
SELECT c.phone_number FROM contact_import_bodies w JOIN contacts c ON c.id = w.contact_id
WHERE w.import_id = :id AND c.phone_number IS NOT NULL ORDER BY w.contact_id LIMIT 1
""")

#: A broadcast `b` goes to the file `i`.
_GOES_TO_IT = f"""
FROM audience_segments a JOIN broadcasts_segments s ON s.segment_id = a.id JOIN broadcasts b ON b.id = s.broadcast_id
WHERE a.import_id = i.id AND s.role = '{SegmentRole.SHARE}'
"""
#: It may still take the words: it is to be made, or may be called back.
_TO_BE_MADE = (BroadcastState.SCHEDULED, BroadcastState.MISSED)
_MAY_TAKE_THEM = f"""
(b.state = '{BroadcastState.SENDING_FIRST}'
 OR (b.state = '{BroadcastState.PAUSED}' AND b.paused_from = '{BroadcastState.SENDING_FIRST}')
 OR (b.state IN {literals(_TO_BE_MADE)} AND b.run_at > :before))
"""

#: The files whose words have gone out, or that nobody wants: the first one.
OVER = text(f"""
SELECT i.id FROM contact_imports i
WHERE i.has_bodies AND NOT EXISTS (SELECT {_GOES_TO_IT} AND {_MAY_TAKE_THEM})
  AND (i.moved_at < :before OR EXISTS (SELECT {_GOES_TO_IT} AND b.state NOT IN {literals(_TO_BE_MADE)}))
ORDER BY i.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
""")

#: Forgets some of the words of a file.
FORGET_SOME = text("""
DELETE FROM contact_import_bodies WHERE import_id = :id AND contact_id IN (
    SELECT contact_id FROM contact_import_bodies WHERE import_id = :id ORDER BY contact_id LIMIT :limit)
""")
FORGOTTEN = text("UPDATE contact_imports SET has_bodies = false WHERE id = :id")


async def of_segments(connection: Connection, segment_ids: Sequence[int]) -> int | None:
    """Return the file that has words for each person of some segments, if one is such a file's."""
    if not segment_ids:
        return None
    found: int | None = (await connection.execute(OF_SEGMENTS, {"ids": list(segment_ids)})).scalar_one_or_none()
    return found


async def of_broadcast(connection: Connection, broadcast_id: int) -> int | None:
    """Return the file that has words for each person who may get a broadcast, if it goes to one."""
    found: int | None = (await connection.execute(OF_BROADCAST, {"id": broadcast_id})).scalar_one_or_none()
    return found


async def first_number(connection: Connection, file: int) -> str | None:
    """Return the number of the first person for whom a file has words."""
    found: str | None = (await connection.execute(FIRST_NUMBER, {"id": file})).scalar_one_or_none()
    return found


async def forget(connection: Connection, now: datetime) -> bool:
    """Forget some words that have gone out, or that no broadcast is to take; whether there may be more."""
    file = (await connection.execute(OVER, {"before": now - KEPT})).scalar_one_or_none()
    if file is None:
        return False
    gone = (await connection.execute(FORGET_SOME, {"id": file, "limit": AT_ONCE})).rowcount
    if gone < AT_ONCE:
        await connection.execute(FORGOTTEN, {"id": file})
    return True
