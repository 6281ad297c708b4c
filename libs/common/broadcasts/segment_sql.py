"""A segment's filter as an SQL condition on a contact `c`, with its values as parameters.

Filters of one shape have one condition: what stands in it depends on the kinds of conditions and on how they stand
inside each other, not on values, names or how many tags there are side by side. So a statement that is made of it can
be kept (`audience`). Each condition is true or false, never null: under `NOT` a null would leave people out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.database import literals
from libs.common.domain import attributes
from libs.common.domain.attributes import Kind, Value
from libs.common.domain.segments import (
    AllOf,
    AnyOf,
    Attribute,
    Did,
    Filter,
    InImport,
    InSegment,
    Not,
    Op,
    Since,
    Tag,
)
from libs.common.domain.states import MessageState, ReplyKind

#: States of a message that left, or may have left.
LEFT = (MessageState.STARTED, MessageState.UNCERTAIN, MessageState.ACCEPTED)

#: How an order is written.
_SIGNS = {Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}

#: What somebody did, by a parameter with the moment. By the number, by which the indexes are.
_DID = {
    Did.REPLIED: f"""
    EXISTS (SELECT FROM replies sr WHERE sr.phone_number = c.phone_number AND sr.kind = '{ReplyKind.OWN_WORDS}'
            AND sr.received_at >= {{since}})""",
    Did.TEXTED: f"""
    EXISTS (SELECT FROM outgoing_messages sm WHERE sm.recipient_phone_number = c.phone_number
            AND sm.state IN {literals(LEFT)} AND sm.attempt_started_at >= {{since}})""",
    Did.JOINED: "c.created_at >= {since}",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a contact `c`, and its parameters by name."""

    sql: str
    given: Mapping[str, Any]


def condition(filter_: Filter, now: datetime, number: int = 0) -> Condition:
    """Return the condition that a filter takes a contact in, as of now.

    Its segments are in their places (`segments.resolve`). `number` keeps the parameters of several filters in one
    statement apart.
    """
    writer = _Writer(now, f"f{number}")
    return Condition(writer.of(filter_), writer.given)


class _Writer:
    """Writes conditions, and names their parameters one after the other."""

    def __init__(self, now: datetime, prefix: str) -> None:
        self.now = now
        self.prefix = prefix
        self.given: dict[str, Any] = {}

    def of(self, filter_: Filter) -> str:
        match filter_:
            case AllOf(parts):
                return self.joined(parts, "@>", " AND ") or "true"
            case AnyOf(parts):
                return self.joined(parts, "&&", " OR ")
            case Not(part):
                return f"NOT ({self.of(part)})"
            case Tag(tag):
                return f"c.tags @> {self.parameter([tag], 'text[]')}"
            case Attribute():
                return self.attribute(filter_)
            case Since():
                return _DID[filter_.did].format(since=self.parameter(filter_.moment(self.now), "timestamptz"))
            case InImport(import_id):
                given = self.parameter(import_id, "bigint")
                return f"""
    EXISTS (SELECT FROM contact_import_members sf WHERE sf.import_id = {given} AND sf.contact_id = c.id)"""
            case InSegment(segment_id):
                raise AssertionError(f"segment {segment_id} is not in its place")

    def joined(self, parts: Sequence[Filter], operator: str, between: str) -> str:
        """Return some conditions as one; the tags among them are one condition, which the index answers at once."""
        tags = [part.tag for part in parts if isinstance(part, Tag)]
        written = [f"c.tags {operator} {self.parameter(tags, 'text[]')}"] if tags else []
        written += [f"({self.of(part)})" for part in parts if not isinstance(part, Tag)]
        return between.join(written)

    def attribute(self, asked: Attribute) -> str:
        if asked.name in attributes.FIELDS:
            return self.field(asked)
        match asked.op:
            case Op.EQ | Op.NE:
                given = self.json({asked.name: asked.value})
                return f"{'NOT ' if asked.op is Op.NE else ''}c.attributes @> {given}"
            case Op.EXISTS:
                return f"{'' if asked.value else 'NOT '}c.attributes ? {self.parameter(asked.name, 'text')}"
            case Op.IN:
                name = self.parameter(asked.name, "text")
                values = self.parameter([json.dumps(value) for value in _values(asked)], "text[]")
                return f"coalesce(c.attributes -> {name} = ANY(CAST({values} AS jsonb[])), false)"
        return self.order(asked)

    def order(self, asked: Attribute) -> str:
        """Return the condition that an attribute of the value's kind comes before or after the value."""
        sign, name = _SIGNS[asked.op], self.parameter(asked.name, "text")
        (value,) = _values(asked)
        if attributes.kind_of(value) is Kind.NUMBER:
            return (
                f"coalesce(jsonb_typeof(c.attributes -> {name}) = 'number'"
                f" AND c.attributes -> {name} {sign} {self.json(value)}, false)"
            )
        date = self.parameter(value, "text")
        return f"""coalesce(jsonb_typeof(c.attributes -> {name}) = 'string'
    AND c.attributes ->> {name} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'
    AND (c.attributes ->> {name}) COLLATE "C" {sign} {date}, false)"""

    def field(self, asked: Attribute) -> str:
        """Return the condition on the time zone or the language: "es" is also "es-MX"."""
        column = f"c.{asked.name}"
        if asked.op is Op.EXISTS:
            return f"{column} IS {'NOT ' if asked.value else ''}NULL"
        values = self.parameter(list(_values(asked)), "text[]")
        are = f"{column} = ANY({values})"
        if asked.name == "language":
            are += f" OR EXISTS (SELECT FROM unnest({values}) AS sl (tag) WHERE starts_with({column}, sl.tag || '-'))"
        return f"{'NOT ' if asked.op is Op.NE else ''}coalesce({are}, false)"

    def json(self, value: Any) -> str:
        return f"CAST({self.parameter(json.dumps(value), 'text')} AS jsonb)"

    def parameter(self, value: Any, kind: str) -> str:
        """Return a parameter that holds a value; its type is written out, since the server infers one from its use."""
        name = f"{self.prefix}_{len(self.given)}"
        self.given[name] = value
        return f"CAST(:{name} AS {kind})"


def _values(asked: Attribute) -> tuple[Value, ...]:
    return asked.value if isinstance(asked.value, tuple) else (asked.value,)
