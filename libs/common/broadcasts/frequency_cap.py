"""Whom the frequency cap leaves out: who would get more texts within its days than it lets them.

Counted are the first and second messages of all broadcasts: those that were handed over to the carrier, those of which
nobody knows, and those that are still to leave. With those of the broadcast that is drawn, nobody gets more than the
cap says. Answers and tests, and what the carrier refused or never had from Missive, do not count.

It is one set, read once a statement by the indexes of what was taken and of what is open, not by looking for each
contact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.database import literals
from libs.common.domain.frequency import Cap
from libs.common.domain.states import OPEN, MessageState, Outcome


@dataclass(frozen=True, slots=True)
class Capped:
    """A join beside `contacts c`, and the condition that somebody has had too many; both empty where no cap holds."""

    join: str = ""
    condition: str = ""
    given: dict[str, Any] = field(default_factory=dict)


#: The texts of each contact since a moment. What is still to leave has no time. `OFFSET 0` has each broadcast looked up
#: in the index: a scan of all messages would cost what was ever sent.
_TEXTS = f"""
    SELECT m.id, m.contact_id, m.attempt_started_at AS at
    FROM broadcasts tb CROSS JOIN LATERAL (
        SELECT tm.id, tm.contact_id, tm.attempt_started_at FROM outgoing_messages tm
        WHERE tm.broadcast_id = tb.id AND tm.state = '{MessageState.ACCEPTED}'
          AND tm.attempt_started_at >= :cap_since OFFSET 0) m
    WHERE tb.made_at IS NOT NULL
    UNION ALL
    SELECT om.id, om.contact_id, CASE WHEN om.state <> '{MessageState.CLAIMED}' THEN om.attempt_started_at END
    FROM outgoing_messages om
    WHERE om.state IN {literals(OPEN)}
    UNION ALL
    SELECT pm.id, pm.contact_id, NULL FROM outgoing_messages pm WHERE pm.state = '{MessageState.PENDING}'
"""

#: What Missive took and Twilio never had: hardly any.
_NOT_HANDED_OVER = f"""
    SELECT n.outgoing_message_id
    FROM broadcasts nb CROSS JOIN (VALUES (false), (true)) AS p (is_second) CROSS JOIN LATERAL (
        SELECT s.outgoing_message_id FROM broadcast_sent_message_status s
        WHERE s.broadcast_id = nb.id AND s.is_second = p.is_second AND s.outcome = '{Outcome.NOT_HANDED_OVER}'
        OFFSET 0) n
    WHERE nb.made_at IS NOT NULL
"""


def capped(caps: Sequence[Cap], texts: int, now: datetime) -> Capped:
    """Return who is left out of a broadcast of so many texts a person, which has drawn nobody yet."""
    if any(cap.texts < texts for cap in caps):
        return Capped(condition="true")  # even who has had none
    if not caps:
        return Capped()
    given: dict[str, Any] = {"cap_since": now - timedelta(days=max(cap.days for cap in caps))}
    tests = []
    for number, cap in enumerate(caps):
        given[f"cap_since_{number}"] = now - timedelta(days=cap.days)
        given[f"cap_texts_{number}"] = cap.texts - texts
        tests.append(f"count(*) FILTER (WHERE t.at IS NULL OR t.at >= :cap_since_{number}) > :cap_texts_{number}")
    join = f"""
LEFT JOIN (
    SELECT t.contact_id FROM ({_TEXTS}) t
    LEFT JOIN ({_NOT_HANDED_OVER}) n ON n.outgoing_message_id = t.id
    WHERE n.outgoing_message_id IS NULL
    GROUP BY t.contact_id HAVING {" OR ".join(tests)}
) k ON k.contact_id = c.id
"""
    return Capped(join, "k.contact_id IS NOT NULL", given)
