"""Who got the messages of a broadcast, who did not, and why: every recipient once for each message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text

from libs.common.broadcasts.explanations import Explanation, Result, explain
from libs.common.broadcasts.outcome_kinds import KINDS, NOT_GOT, Kind
from libs.common.database import Connection, folded
from libs.common.domain.states import MessageState
from services.api import search_patterns
from services.api.broadcasts import counts
from services.api.broadcasts.counts import Counted

LOOKED_AT = 2000  # recipients among whom a page is looked for first: some milliseconds

_OF_PHASE = "m.broadcast_id = :id AND m.is_second = :is_second AND m.contact_id > :after"
_GIVEN = """
(SELECT * FROM unnest(CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:outcomes AS text[]),
                      CAST(:statuses AS text[]), CAST(:codes AS text[])))
"""
_WORDS = folded("CAST(:words AS text)")
#: What is found in a name or a number.
_FOUND = f"""
AND ({folded("c.name")} LIKE {_WORDS}
     OR (CAST(:digits AS text) <> '' AND m.recipient_phone_number LIKE CAST(:digits AS text)))
"""
#: Who was drawn from a group of people, where one is asked for.
_OF_SEGMENT = "(CAST(:segment AS bigint) IS NULL OR m.segment_id = CAST(:segment AS bigint))"
_STATUS = "s.outcome, s.twilio_sent_status AS status, s.twilio_error_code AS code"


@dataclass(frozen=True, slots=True)
class _Lists:
    """The statements for a page of the recipients of a group, in the order of their ids."""

    #: Of those who are among the next recipients that there are.
    near: TextClause
    #: Of those of whom the carrier has said something, found by what it said.
    by_status: TextClause
    #: Of those of whom it has said nothing.
    by_state: TextClause


def _lists(searched: str = "") -> _Lists:
    return _Lists(
        near=_list(
            _STATUS,
            f"""
(SELECT * FROM outgoing_messages m WHERE {_OF_PHASE} ORDER BY m.contact_id LIMIT {LOOKED_AT}) m
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id""",
            f"""
(m.state, coalesce(m.skip_reason, ''), coalesce(s.outcome, ''), coalesce(s.twilio_sent_status, ''),
 coalesce(s.twilio_error_code, '')) IN {_GIVEN} AND {_OF_SEGMENT} {searched}""",
        ),
        by_status=_list(
            _STATUS,
            "broadcast_sent_message_status s JOIN outgoing_messages m ON m.id = s.outgoing_message_id",
            f"""
s.broadcast_id = :id AND s.is_second = :is_second AND m.contact_id > :after
AND (m.state, coalesce(m.skip_reason, ''), s.outcome, coalesce(s.twilio_sent_status, ''),
     coalesce(s.twilio_error_code, '')) IN {_GIVEN} AND {_OF_SEGMENT} {searched}""",
        ),
        by_state=_list(
            "NULL AS outcome, NULL AS status, NULL AS code",
            "outgoing_messages m",
            f"""
{_OF_PHASE} AND (m.state, coalesce(m.skip_reason, '')) IN
    (SELECT * FROM unnest(CAST(:states AS text[]), CAST(:reasons AS text[]))) AND {_OF_SEGMENT} {searched}""",
        ),
    )


def _list(status: str, source: str, conditions: str) -> TextClause:
    return text(f"""
SELECT m.id, m.contact_id, c.name, m.recipient_phone_number AS phone_number, m.state, m.skip_reason, {status}
FROM {source} JOIN contacts c ON c.id = m.contact_id
WHERE {conditions} ORDER BY m.contact_id LIMIT :limit
""")


ALL = _lists()
SEARCHED = _lists(_FOUND)


#: What the key of all outcomes of a kind begins with.
KIND = "kind-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The messages that have the same explanation."""

    explanation: Explanation
    messages: int
    #: The combinations on record that have it.
    results: tuple[Result, ...] = ()

    @property
    def can_be_sent_again(self) -> bool:
        """Whether a person may have these sent again: nobody knows whether they went out, and their phase runs."""
        return any(result.state == MessageState.UNCERTAIN and result.phase_runs for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of the messages of one phase: the groups add up to `planned`."""

    planned: int = 0
    #: What went wrong comes first, then what waits, then what went well; the largest first within each.
    groups: tuple[Group, ...] = ()
    by_kind: dict[Kind, int] = field(default_factory=dict)

    def of(self, *kinds: Kind) -> int:
        """Return how many messages are of some kinds."""
        return sum(self.by_kind.get(kind, 0) for kind in kinds)

    @property
    def missed(self) -> tuple[Group, ...]:
        """The groups of those who did not get it, and will not by themselves."""
        return tuple(group for group in self.groups if group.explanation.kind in NOT_GOT)

    @property
    def others(self) -> tuple[Group, ...]:
        """The groups of those who got it, or may still get it."""
        return tuple(group for group in self.groups if group.explanation.kind not in NOT_GOT)

    def group(self, key: str) -> Group | None:
        """Return the group of an outcome's key, or of all of a kind: `kind-failed`; None if no message has it."""
        if key.startswith(KIND):
            return self._all_of(key)
        return next((group for group in self.groups if group.explanation.key == key), None)

    def _all_of(self, key: str) -> Group | None:
        found = [group for group in self.groups if f"{KIND}{group.explanation.kind}" == key]
        if not found:
            return None
        kind = found[0].explanation.kind
        return Group(
            explanation=Explanation(key=key, kind=kind, sentence=KINDS[kind]),
            messages=sum(group.messages for group in found),
            results=tuple(result for group in found for result in group.results),
        )


#: Kinds in the order in which they are listed.
ORDER = (*NOT_GOT, Kind.WAITING, Kind.SENT, Kind.DELIVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One whose message has an outcome."""

    message_id: int
    contact_id: int
    name: str
    #: None once they were erased.
    phone_number: str | None
    explanation: Explanation


async def read(connection: Connection, broadcast_id: int, now: datetime) -> tuple[Outcomes, Outcomes]:
    """Return what became of the first messages, and of the follow-ups, at `now`."""
    return of(await counts.read(connection, broadcast_id, now))


def of(counted: Counted) -> tuple[Outcomes, Outcomes]:
    """Return what became of the first messages, and of the follow-ups."""
    return together(counted.results(is_second=False)), together(counted.results(is_second=True))


def together(counted: Sequence[tuple[Result, int]]) -> Outcomes:
    """Return combinations and their counts as groups of the same explanation."""
    found: dict[str, Group] = {}
    by_kind: dict[Kind, int] = {}
    for result, messages in counted:
        explanation = explain(result)
        group = found.get(explanation.key, Group(explanation=explanation, messages=0))
        found[explanation.key] = Group(
            explanation=explanation, messages=group.messages + messages, results=(*group.results, result)
        )
        by_kind[explanation.kind] = by_kind.get(explanation.kind, 0) + messages
    groups = sorted(
        found.values(), key=lambda group: (ORDER.index(group.explanation.kind), -group.messages, group.explanation.key)
    )
    return Outcomes(planned=sum(messages for _, messages in counted), groups=tuple(groups), by_kind=by_kind)


async def recipients(
    connection: Connection,
    broadcast_id: int,
    group: Group,
    *,
    find: str = "",
    segment: int | None = None,
    after: int,
    limit: int,
) -> list[Recipient]:
    """Return the recipients of a group with an id above `after`, those with `find` in name or number.

    With `segment` those who were drawn from it.

    Those of a large group are among the next recipients; those of a small one are found by what became of them.
    """
    values: dict[str, Any] = {
        "id": broadcast_id,
        "is_second": group.results[0].is_second,
        "segment": segment,
        "after": after,
        "limit": limit,
        "states": [result.state for result in group.results],
        "reasons": [result.skip_reason or "" for result in group.results],
        "outcomes": [result.outcome or "" for result in group.results],
        "statuses": [result.status or "" for result in group.results],
        "codes": [result.code or "" for result in group.results],
    }
    statements = SEARCHED if find.strip() else ALL
    if find.strip():
        values |= {"words": search_patterns.of_words(find), "digits": search_patterns.of_digits(find)}
    explained: dict[tuple[object, ...], Explanation] = {
        (each.state, each.skip_reason, each.outcome, each.status, each.code): explain(each) for each in group.results
    }
    found = await _recipients(connection, statements.near, values, explained)
    if len(found) == limit:
        return found
    by_all = statements.by_status if any(result.outcome for result in group.results) else statements.by_state
    return await _recipients(connection, by_all, values, explained)


async def _recipients(
    connection: Connection,
    statement: TextClause,
    values: Mapping[str, Any],
    explained: Mapping[tuple[object, ...], Explanation],
) -> list[Recipient]:
    return [
        Recipient(
            message_id=message_id,
            contact_id=contact_id,
            name=name,
            phone_number=phone_number,
            explanation=explained[tuple(known)],
        )
        for message_id, contact_id, name, phone_number, *known in await connection.execute(statement, dict(values))
    ]
