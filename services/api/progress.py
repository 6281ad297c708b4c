"""How far a broadcast is: the figures of the report and of the live stream come from here.

Each figure is counted in the database; nothing is held per text.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from libs.common.database import Connection
from libs.common.errors import NotFound

#: The broadcast itself.
BROADCAST = """
SELECT id, state, paused_from, pause_reason, run_at, recipients, made_at, second_due_at, sync_started_at, completed_at
FROM broadcasts WHERE id = %(id)s
"""

#: How many texts of each phase are in which state, and when the first and the last began to leave.
TEXTS = """
SELECT is_second, state, count(*) AS texts, count(*) FILTER (WHERE attempts > 0) AS started,
       min(attempt_started_at) AS first_started_at, max(attempt_started_at) AS last_started_at
FROM outgoing_messages WHERE broadcast_id = %(id)s GROUP BY is_second, state
"""

#: What the carrier's log says of the accepted texts.
STATUSES = """
SELECT is_second, coalesce(twilio_sent_status, 'unknown') AS status, count(*) AS texts
FROM broadcast_sent_message_status WHERE broadcast_id = %(id)s AND outcome = 'accepted' GROUP BY 1, 2
"""

#: How many people answered, and how many opted out in answer to this broadcast.
PEOPLE = """
SELECT (SELECT count(DISTINCT contact_id) FROM replies WHERE broadcast_id = %(id)s) AS replies,
       (SELECT count(DISTINCT data ->> 'contact_id') FROM events
        WHERE broadcast_id = %(id)s AND type = 'OptedOut') AS opt_outs
"""


class PhaseProgress(Struct, kw_only=True):
    """How many texts of a phase are in which state."""

    pending: int = 0
    claimed: int = 0
    started: int = 0
    uncertain: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0


class PhasePace(Struct, kw_only=True):
    """How fast the texts of a phase began to leave, in texts a second."""

    started: int = 0
    first_started_at: datetime | None = None
    last_started_at: datetime | None = None
    rate: float | None = None


class Progress(Struct, kw_only=True):
    """How far a broadcast is."""

    broadcast_id: int
    state: str
    paused_from: str | None
    pause_reason: str | None
    recipients: int | None
    second_due_at: datetime | None
    first: PhaseProgress
    second: PhaseProgress
    #: People who answered.
    replies: int
    opt_outs: int
    delivered: int
    undelivered: int
    #: Status in the carrier's log to accepted texts; `unknown` where it was not read yet.
    statuses: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that is counted about a broadcast."""

    broadcast: dict[str, Any]
    progress: Progress
    first_pace: PhasePace
    second_pace: PhasePace


UNDELIVERED = ("undelivered", "failed", "canceled")
DELIVERED = ("delivered", "read")


async def read(connection: Connection, broadcast_id: int) -> Figures:
    """Count everything about a broadcast. Raises NotFound."""
    who = {"id": broadcast_id}
    broadcast = await (await connection.execute(BROADCAST, who)).fetchone()
    if broadcast is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")
    phases = {False: PhaseProgress(), True: PhaseProgress()}
    paces = {False: PhasePace(), True: PhasePace()}
    for row in await (await connection.execute(TEXTS, who)).fetchall():
        setattr(phases[row["is_second"]], row["state"], row["texts"])
        _add(paces[row["is_second"]], row)
    statuses: dict[str, int] = {}
    for row in await (await connection.execute(STATUSES, who)).fetchall():
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["texts"]
    people = await (await connection.execute(PEOPLE, who)).fetchone()
    assert people is not None
    progress = Progress(
        broadcast_id=broadcast_id,
        state=broadcast["state"],
        paused_from=broadcast["paused_from"],
        pause_reason=broadcast["pause_reason"],
        recipients=broadcast["recipients"],
        second_due_at=broadcast["second_due_at"],
        first=phases[False],
        second=phases[True],
        replies=people["replies"],
        opt_outs=people["opt_outs"],
        delivered=sum(statuses.get(status, 0) for status in DELIVERED),
        undelivered=sum(statuses.get(status, 0) for status in UNDELIVERED),
        statuses=dict(sorted(statuses.items())),
    )
    for pace in paces.values():
        pace.rate = rate(pace)
    return Figures(broadcast=broadcast, progress=progress, first_pace=paces[False], second_pace=paces[True])


def rate(pace: PhasePace) -> float | None:
    """Give texts a second: the intervals between the starts over the time they took; None for fewer than two."""
    if pace.started < 2 or pace.first_started_at is None or pace.last_started_at is None:
        return None
    seconds = (pace.last_started_at - pace.first_started_at).total_seconds()
    return (pace.started - 1) / seconds if seconds > 0 else None


def _add(pace: PhasePace, row: dict[str, Any]) -> None:
    pace.started += row["started"]
    if row["first_started_at"] is not None:
        pace.first_started_at = min(pace.first_started_at or row["first_started_at"], row["first_started_at"])
        pace.last_started_at = max(pace.last_started_at or row["last_started_at"], row["last_started_at"])
