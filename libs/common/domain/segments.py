"""Segments as data: a filter in a small language, read with the place of every mistake. Pure.

A filter is one condition, an object with one of these keys; a string stands for a tag:

    {"all": [filter, …]}  {"any": [filter, …]}  {"not": filter}
    {"tag": "north"}      {"attribute": "age", "ge": 18}
    {"replied_since": "30 days"}  {"texted_since": …}  {"joined_since": "2026-09-01T00:00:00-04:00"}
    {"segment": 7}        {"import": 12}

`{"all": []}` is everybody. Each condition is true or false of a contact, never unknown: who lacks an attribute is not
equal to anything. `libs/common/broadcasts/audience.py` has it evaluated by the database.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from libs.common.domain import attributes, tags
from libs.common.domain.attributes import Kind, Value
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

DEEPEST = 20  # conditions inside each other
MOST = 200  # conditions of one filter
MOST_VALUES = 100  # of one `in`
MOST_MISTAKES = 20  # that are named
#: With all segments that a filter names in their places.
DEEPEST_RESOLVED = 60
MOST_RESOLVED = 1_000
LONGEST_AGO = 3_650  # days
EARLIEST, LATEST = 1970, 2199  # years
BIGGEST_ID = 2**63 - 1  # PostgreSQL's bigint

_AGO = re.compile(r"([1-9][0-9]{0,3}) days?")


class Op(StrEnum):
    """How an attribute is compared."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    EXISTS = "exists"


_OPS = frozenset(op.value for op in Op)
#: Comparisons that ask which of two comes first.
ORDER = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})


class Did(StrEnum):
    """What somebody did, or what was done to them, since a time."""

    REPLIED = "replied_since"
    TEXTED = "texted_since"
    JOINED = "joined_since"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Whom every part takes in; everybody where there is none."""

    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Whom at least one part takes in."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Whom a part does not take in."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class Tag:
    """Who has a tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """Whose attribute, time zone or language compares so. `value` is a tuple with `in`, and yes or no with `exists`."""

    name: str
    op: Op
    value: Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """Who did something since a moment, or within so many days."""

    did: Did
    since: datetime | timedelta

    def moment(self, now: datetime) -> datetime:
        """Return since when, as of now."""
        return now - self.since if isinstance(self.since, timedelta) else self.since


@dataclass(frozen=True, slots=True)
class InSegment:
    """Who is in another segment."""

    segment_id: int


@dataclass(frozen=True, slots=True)
class InImport:
    """Who was in a file that was imported."""

    import_id: int


Filter: TypeAlias = AllOf | AnyOf | Not | Tag | Attribute | Since | InSegment | InImport

EVERYBODY = AllOf()
#: What a condition may be, by its key.
KEYS: tuple[str, ...] = ("all", "any", "not", "tag", "attribute", *Did, "segment", "import")


class InvalidFilter(ValueError):
    """A filter has mistakes: each is a JSON pointer (RFC 6901) and what is wrong there."""

    def __init__(self, *mistakes: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{pointer or '/'}: {reason}" for pointer, reason in mistakes))
        self.mistakes = mistakes


def read(given: Any) -> Filter:
    """Return the filter that plain values of JSON describe. Raise InvalidFilter with the mistakes, the first ones."""
    try:
        return _Reader().condition(given, "", 1)
    except InvalidFilter as error:
        raise InvalidFilter(*error.mistakes[:MOST_MISTAKES]) from None


def dump(filter_: Filter) -> dict[str, Any]:
    """Return a filter as plain values of JSON; `read` gives it back."""
    match filter_:
        case AllOf(parts):
            return {"all": [dump(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [dump(part) for part in parts]}
        case Not(part):
            return {"not": dump(part)}
        case Tag(tag):
            return {"tag": tag}
        case Attribute(name, op, value):
            return {"attribute": name, op.value: list(value) if isinstance(value, tuple) else value}
        case Since(did, since):
            return {did.value: f"{since.days} days" if isinstance(since, timedelta) else since.isoformat()}
        case InSegment(segment_id):
            return {"segment": segment_id}
        case InImport(import_id):
            return {"import": import_id}


def conditions(filter_: Filter, pointer: str = "") -> Iterator[tuple[str, Filter]]:
    """Yield every condition of a filter with its JSON pointer, itself first."""
    yield pointer, filter_
    match filter_:
        case AllOf(parts) | AnyOf(parts):
            key = "all" if isinstance(filter_, AllOf) else "any"
            for place, part in enumerate(parts):
                yield from conditions(part, f"{pointer}/{key}/{place}")
        case Not(part):
            yield from conditions(part, f"{pointer}/not")


def segments_of(filter_: Filter) -> dict[int, str]:
    """Return the segments that a filter names itself, with the pointer to the first condition that does."""
    found: dict[int, str] = {}
    for pointer, each in conditions(filter_):
        if isinstance(each, InSegment):
            found.setdefault(each.segment_id, f"{pointer}/segment")
    return found


def imports_of(filter_: Filter) -> dict[int, str]:
    """Return the imports that a filter names itself, with the pointer to the first condition that does."""
    found: dict[int, str] = {}
    for pointer, each in conditions(filter_):
        if isinstance(each, InImport):
            found.setdefault(each.import_id, f"{pointer}/import")
    return found


def tags_of(filter_: Filter) -> list[str]:
    """Return the tags that a filter names, each once."""
    return list(dict.fromkeys(each.tag for _, each in conditions(filter_) if isinstance(each, Tag)))


def resolve(filter_: Filter, others: Mapping[int, Filter], segment_id: int | None = None) -> Filter:
    """Return a filter with the filters of the segments that it names in their places.

    `segment_id` is whose filter it is, if it is one already. Raise InvalidFilter where segments are in each other in a
    circle, or make too much of it together; KeyError for one that is not among `others`.
    """
    return _Resolver(others).put(filter_, () if segment_id is None else (segment_id,), "", 1)


class _Resolver:
    """Puts segments in their places, and counts the conditions: two segments with one inside each make four."""

    def __init__(self, others: Mapping[int, Filter]) -> None:
        self.others = others
        self.number = 0

    def put(self, filter_: Filter, within: tuple[int, ...], pointer: str, depth: int) -> Filter:
        """Return a condition with segments in their places; a mistake is named where the first of them is named."""
        self.number += 1
        if self.number > MOST_RESOLVED or depth > DEEPEST_RESOLVED:
            raise InvalidFilter((pointer, n_("with the segments in it there are too many conditions")))
        match filter_:
            case AllOf(parts):
                return AllOf(self.put_all(parts, within, f"{pointer}/all", depth))
            case AnyOf(parts):
                return AnyOf(self.put_all(parts, within, f"{pointer}/any", depth))
            case Not(part):
                return Not(self.put(part, within, f"{pointer}/not", depth + 1))
            case InSegment(segment_id):
                here = f"{pointer}/segment"
                if segment_id in within:
                    raise InvalidFilter((here, n_("the segment would be in itself")))
                try:
                    return self.put(self.others[segment_id], (*within, segment_id), "", depth + 1)
                except InvalidFilter as error:
                    raise InvalidFilter((here, error.mistakes[0][1])) from None
        return filter_

    def put_all(self, parts: Sequence[Filter], within: tuple[int, ...], pointer: str, depth: int) -> tuple[Filter, ...]:
        """Return several conditions with segments in their places."""
        return tuple(self.put(part, within, f"{pointer}/{place}", depth + 1) for place, part in enumerate(parts))


class _Reader:
    """Reads conditions, and goes on with the next one after a mistake, so that all of them are named."""

    def __init__(self) -> None:
        self.number = 0

    def condition(self, given: Any, pointer: str, depth: int) -> Filter:
        """Return a condition. Raise InvalidFilter with all mistakes in it."""
        self.number += 1
        if self.number > MOST:
            raise _TooMany((pointer, filled("there are more than %(most)s conditions", most=MOST)))
        if depth > DEEPEST:
            reason = filled("conditions are more than %(most)s deep inside each other", most=DEEPEST)
            raise InvalidFilter((pointer, reason))
        if isinstance(given, str):
            return _tag(given, pointer)
        if not isinstance(given, dict):
            raise InvalidFilter((pointer, n_('must be a condition, such as {"tag": "north"}')))
        key = _key(given, pointer)
        value, here = given[key], f"{pointer}/{key}"
        match key:
            case "all" | "any":
                return self.several(key, value, here, depth)
            case "not":
                return Not(self.condition(value, here, depth + 1))
            case "tag":
                return _tag(value, here)
            case "attribute":
                return _attribute(given, pointer)
            case "segment":
                return InSegment(_id(value, here))
            case "import":
                return InImport(_id(value, here))
        return _since(Did(key), value, here)

    def several(self, key: str, given: Any, pointer: str, depth: int) -> Filter:
        """Return the condition that all, or any, of some hold. Raise InvalidFilter."""
        if not isinstance(given, list):
            raise InvalidFilter((pointer, n_("must be a list of conditions")))
        if key == "any" and not given:
            raise InvalidFilter((pointer, n_("must hold a condition: nobody fits none")))
        found: list[Filter] = []
        mistakes: list[tuple[str, str]] = []
        for place, each in enumerate(given):
            try:
                found.append(self.condition(each, f"{pointer}/{place}", depth + 1))
            except _TooMany as error:
                raise _TooMany(*mistakes, *error.mistakes) from None
            except InvalidFilter as error:
                mistakes += error.mistakes
        if mistakes:
            raise InvalidFilter(*mistakes)
        return AllOf(tuple(found)) if key == "all" else AnyOf(tuple(found))


class _TooMany(InvalidFilter):
    """There are too many conditions, and the rest of them is not read."""


def _key(given: dict[str, Any], pointer: str) -> str:
    """Return what a condition is. Raise InvalidFilter."""
    if not given:
        raise InvalidFilter((pointer, n_('is empty: {"all": []} is everybody')))
    keys = [key for key in KEYS if key in given]
    if len(keys) > 1:
        reason = filled("has %(keys)s: put several conditions into all or any", keys=" and ".join(keys))
        raise InvalidFilter((pointer, reason))
    unknown = [key for key in given if key not in keys and not (keys == ["attribute"] and key in _OPS)]
    if unknown:
        reason = n_("is not known here")
        if not keys:
            reason = filled("is not known here; a condition is one of %(keys)s", keys=", ".join(KEYS))
        raise InvalidFilter(*((f"{pointer}/{_escaped(key)}", reason) for key in unknown))
    return keys[0]


def _tag(given: Any, pointer: str) -> Filter:
    if not isinstance(given, str):
        raise InvalidFilter((pointer, n_("must be a tag")))
    try:
        return Tag(tags.checked(given))
    except ValueError as error:
        raise InvalidFilter((pointer, str(error))) from error


def _id(given: Any, pointer: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given <= BIGGEST_ID:
        raise InvalidFilter((pointer, n_("must be an id")))
    return given


def _attribute(given: dict[str, Any], pointer: str) -> Filter:
    name = given["attribute"]
    if not isinstance(name, str):
        raise InvalidFilter((f"{pointer}/attribute", n_("must be the name of an attribute")))
    if name not in _CHECKED:
        try:
            attributes.checked_name(name)
        except ValueError as error:
            raise InvalidFilter((f"{pointer}/attribute", str(error))) from error
    ops = [op for op in Op if op in given]
    if len(ops) != 1:
        raise InvalidFilter((pointer, n_("needs one comparison: eq, ne, lt, le, gt, ge, in or exists")))
    [op] = ops
    return Attribute(name, op, _operand(name, op, given[op], f"{pointer}/{op}"))


def _operand(name: str, op: Op, given: Any, pointer: str) -> Value | tuple[Value, ...]:
    """Return what an attribute is compared with. Raise InvalidFilter."""
    if op is Op.EXISTS:
        if not isinstance(given, bool):
            raise InvalidFilter((pointer, n_("must be true or false")))
        return given
    if op is Op.IN:
        if not isinstance(given, list) or not 0 < len(given) <= MOST_VALUES:
            raise InvalidFilter((pointer, filled("must be a list of 1 to %(most)s values", most=MOST_VALUES)))
        return tuple(_value(name, each, f"{pointer}/{place}") for place, each in enumerate(given))
    value = _value(name, given, pointer)
    if op in ORDER and (name in _CHECKED or attributes.kind_of(value) not in (Kind.NUMBER, Kind.DATE)):
        raise InvalidFilter((pointer, n_("only numbers and dates come before and after each other")))
    return value


def _value(name: str, given: Any, pointer: str) -> Value:
    if not isinstance(given, bool | int | float | str):
        reason = n_("must be a text, a number, a date such as 2026-11-27, true or false")
        raise InvalidFilter((pointer, reason))
    try:
        if (check := _CHECKED.get(name)) is None:
            return attributes.checked_value(given)
        if isinstance(given, str):
            return check(given)
    except ValueError as error:
        raise InvalidFilter((pointer, str(error))) from error
    raise InvalidFilter((pointer, n_("must be a text")))


def _since(did: Did, given: Any, pointer: str) -> Filter:
    if isinstance(given, str) and (match := _AGO.fullmatch(given)):
        days = int(match[1])
        if days > LONGEST_AGO:
            raise InvalidFilter((pointer, filled("must be %(most)s days at most", most=LONGEST_AGO)))
        return Since(did, timedelta(days=days))
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None or not EARLIEST <= moment.year <= LATEST:
        reason = n_('must be a number of days such as "30 days", or a moment with its offset')
        raise InvalidFilter((pointer, reason))
    return Since(did, moment)


#: Fields that are compared as attributes are.
_CHECKED = {"language": attributes.checked_language, "time_zone": attributes.checked_zone}


def _escaped(key: str) -> str:
    """Return a key as a step of a JSON pointer, the beginning of a long one."""
    return key[:40].replace("~", "~0").replace("/", "~1")
