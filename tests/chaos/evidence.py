"""What a run leaves for the judge, read from the simulator and, past the proxy, from the database."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from libs.common import database
from libs.common.carriers.error_codes import UNREACHABLE
from libs.common.operations import rebuild
from libs.simulator.network import OPTED_OUT
from tests.chaos.consent import Inbound, No
from tests.chaos.judge import Attempt, Message, Reply, Sent, Step

MESSAGES = """
SELECT m.id, m.broadcast_id, m.is_second, m.recipient_phone_number AS number, n.phone_number AS from_number,
       CASE s.outcome WHEN 'not_handed_over' THEN s.outcome ELSE m.state END AS state,
       coalesce(w.body, CASE WHEN m.is_second THEN b.second_message ELSE b.first_message END) AS body,
       coalesce(m.skip_reason, CASE WHEN s.outcome = 'refused' THEN s.twilio_error_code END) AS why
FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id JOIN sending_numbers n ON n.id = b.sending_number_id
LEFT JOIN message_bodies w ON w.message_id = m.id
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id ORDER BY m.id
"""

#: Every attempt there was, with the time at which the server committed it.
ATTEMPTS = """
SELECT t.id::bigint AS message_id, n.phone_number AS number,
       extract(epoch FROM e.occurred_at)::float8 AS started_at,
       extract(epoch FROM pg_xact_commit_timestamp(e.xmin))::float8 AS committed_at
FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.data -> 'message_ids') AS t (id)
JOIN broadcasts b ON b.id = e.broadcast_id JOIN sending_numbers n ON n.id = b.sending_number_id
WHERE e.type = 'MessagesStarted' ORDER BY committed_at
"""

OPT_OUTS = """
SELECT phone_number AS number, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS committed_at FROM opt_outs
"""

#: Whoever was ever put on record as wanting nothing, by staff or by the carrier's word.
TOLD = """
SELECT c.phone_number AS number, e.data ->> 'source' AS source
FROM events e JOIN contacts c ON c.id = (e.data ->> 'contact_id')::bigint WHERE e.type = 'OptedOut'
"""

REPLIES = """
SELECT provider_id AS sid, phone_number AS number, broadcast_id,
       extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS committed_at FROM replies
WHERE channel <> 'notice' -- a note of ours that a number is held back: nobody wrote it
"""

LEDGERS = "SELECT broadcast_id, data -> 'ledger' AS ledger FROM events WHERE type = 'BroadcastCompleted'"

#: How broadcasts moved on; reports of single messages, and looks at the newest page alone, have no number.
STEPS = """
SELECT broadcast_id, type, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at,
       coalesce((data ->> 'is_second')::boolean, false) AS is_second,
       extract(epoch FROM (data ->> 'second_due_at')::timestamptz)::float8 AS due_at
FROM events WHERE type IN ('BroadcastMade', 'PhaseFinished', 'SecondPhaseStarted', 'BroadcastPaused',
                           'BroadcastResumed', 'BroadcastCompleted')
   OR (type = 'StatusesSynced' AND data ->> 'number' IS NOT NULL)
"""

STATES = "SELECT id, state, made_at IS NOT NULL AS made FROM broadcasts ORDER BY id"

#: Statuses with which the carrier refuses a message for good.
FOR_GOOD = frozenset({400, 403, 404, 422})

#: Words in the services' logs that tell of something that no fault excuses.
ALARMS = ("handler_failed", "task_failed", "answer_not_recorded", "answer_lost", "message_put_aside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it."""

    sent: Sequence[Sent]
    messages: Sequence[Message]
    attempts: Sequence[Attempt]
    #: Commit times of all attempts, by sending number.
    starts: dict[str, list[float]]
    #: The opt-outs on record at the end.
    opt_outs: Sequence[No]
    #: (number, source) of all that there ever were.
    told: frozenset[tuple[str, str]]
    replies: Sequence[Reply]
    #: What people wrote.
    inbound: Sequence[Inbound]
    #: (number, code) of what the carrier refused for good, and whom it turned away as opted out. Missive does not tell.
    refused: frozenset[tuple[str, str]]
    unsubscribed: frozenset[str]
    #: Numbers of which the carrier said, at once or later, that they take no messages.
    unreachable: frozenset[str]
    steps: Sequence[Step]
    ledgers: dict[int, dict[str, object]]
    states: dict[int, str]
    #: When the newest entry of the log was made.
    shown_until: float
    #: Arrivals of requests to send at the carrier.
    arrivals: Sequence[float]
    #: Requests that the carrier turned away for its published limits.
    violations: int
    most_at_once: int


def collect(url: str, ledger: dict[str, Any], requests: dict[str, Any]) -> Evidence:
    """Read the database, and put it beside what the simulator says."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        messages, attempts, opt_outs, told, replies, ledgers, steps, states = (
            connection.execute(query.encode()).fetchall()
            for query in (MESSAGES, ATTEMPTS, OPT_OUTS, TOLD, REPLIES, LEDGERS, STEPS, STATES)
        )
    starts: dict[str, list[float]] = defaultdict(list)
    for row in attempts:
        starts[row["number"]].append(row["committed_at"])
    refused = frozenset(
        (request["to"], str(request["code"] or f"http_{request['status']}"))
        for request in requests["requests"]
        # What a fault asks for is a gateway's word, not the carrier's.
        if request["kind"].endswith("_send") and request["status"] in FOR_GOOD and request["fault"] is None
    )
    undelivered = {(message["to"], str(message["error_code"])) for message in ledger["messages"]}
    return Evidence(
        unreachable=frozenset(number for number, code in refused | undelivered if code in UNREACHABLE),
        sent=[
            Sent(
                to=message["to"],
                from_number=message["from"],
                body=message["body"],
                at=message["accepted_at"],
                left=message["status"] != "never_handed_over",
                reached_at=dict(message["history"]).get("delivered"),
            )
            for message in ledger["messages"]
        ],
        messages=[Message(**row) for row in messages],
        attempts=[
            Attempt(message_id=row["message_id"], started_at=row["started_at"], committed_at=row["committed_at"])
            for row in attempts
        ],
        starts=dict(starts),
        opt_outs=[No(number=row["number"], since=row["committed_at"]) for row in opt_outs],
        told=frozenset((row["number"], row["source"]) for row in told),
        replies=[Reply(**row) for row in replies],
        inbound=[
            Inbound(
                sid=message["sid"],
                number=message["from"],
                to=message["to"],
                body=message["body"],
                at=message["at"],
                acknowledged_at=message["acknowledged_at"],
            )
            for message in ledger["inbound"]
        ],
        refused=refused,
        unsubscribed=frozenset(number for number, code in refused if code == str(OPTED_OUT)),
        steps=[Step(**row) for row in steps],
        ledgers={row["broadcast_id"]: row["ledger"] for row in ledgers},
        states={row["id"]: row["state"] for row in states},
        shown_until=max(
            [message["handed_over_at"] or 0.0 for message in ledger["messages"]]
            + [item["at"] for item in ledger["inbound"]],
            default=0.0,
        ),
        arrivals=[request["at"] for request in requests["requests"] if request["kind"].endswith("_send")],
        violations=requests["totals"]["violations"],
        most_at_once=requests["totals"]["peak"]["concurrent"],
    )


async def not_rebuilt(url: str) -> list[str]:
    """Rebuild the tables from history, and give those that are other rows afterwards; then leave all as it was."""
    async with (
        database.disposing(database.create_engine(url, size=1)) as engine,
        database.transaction(engine) as connection,
    ):
        await rebuild.lock(connection)
        before = await rebuild.fingerprints(connection)
        try:
            await rebuild.rebuild(connection)
        except database.ConstraintViolated as error:
            await connection.rollback()
            return [f"a row that cannot be stored ({error.constraint})"]
        after = await rebuild.fingerprints(connection)
        await connection.rollback()
    return [table for table in before if before[table] != after[table]]


def alarms(logs: Path) -> Counter[str]:
    """Count what the services' logs tell of that no fault excuses."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            if any(word in line for word in ALARMS):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                reason = entry.get("reason") or entry.get("error") or entry.get("exception", "").strip()[-120:]
                found[f"{path.stem.rstrip('0123456789')} {entry.get('event')} {reason}".strip()] += 1
    return found
