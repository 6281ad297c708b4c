"""The form of a group: rows of conditions, and the filter that they are. Pure.

Most groups are rows that all hold, or of which one holds. What is not, conditions inside each other, is written as the
API has it (docs/segments.md).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.domain import attributes, segments
from libs.common.domain.attributes import Kind, Value
from libs.common.domain.segments import (
    AllOf,
    AnyOf,
    Attribute,
    Did,
    Filter,
    InImport,
    InSegment,
    InvalidFilter,
    Not,
    Op,
    Since,
    Tag,
)
from libs.common.texts import gettext_noop as n_

MOST_ROWS = 40
MORE_THAN_ONE = 2
BLANK = 1  # rows that a form has beyond those that are filled in
LONGEST_JSON = 50_000  # characters
BIG_ID = 18  # digits of an id

#: What a row may ask for, in the order in which it is offered.
WHAT = {
    "": n_("(nothing)"),
    "any_tag": n_("has any of the tags"),
    "all_tags": n_("has all of the tags"),
    "no_tag": n_("has none of the tags"),
    "attribute": n_("of whom we know"),
    "replied": n_("has replied since"),
    "not_replied": n_("has not replied since"),
    "texted": n_("got a text since"),
    "not_texted": n_("got no text since"),
    "joined": n_("came since"),
    "not_joined": n_("was here before"),
    "segment": n_("is in the group"),
    "not_segment": n_("is not in the group"),
    "import": n_("was in the file"),
    "not_import": n_("was not in the file"),
}
#: How an attribute compares, in the order in which it is offered.
COMPARISONS = {
    "eq": n_("is"),
    "ne": n_("is not"),
    "ge": n_("is at least"),
    "le": n_("is at most"),
    "gt": n_("is above"),
    "lt": n_("is below"),
    "in": n_("is one of"),
    "known": n_("is known"),
    "unknown": n_("is not known"),
    "yes": n_("is yes"),
    "no": n_("is no"),
}
_DID = {"replied": Did.REPLIED, "texted": Did.TEXTED, "joined": Did.JOINED}
_ROW = re.compile(r"what_([0-9]{1,2})")
_NUMBER = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,10})?")
_DAYS = re.compile(r"([0-9]{1,5})( days?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One condition as it stands in the form."""

    what: str = ""
    #: Of an attribute.
    name: str = ""
    op: str = "eq"
    #: Tags or values apart by commas, or a number of days, or a date.
    value: str = ""
    #: The id of a group or of an import.
    group: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands in the form."""

    name: str = ""
    #: Whether all rows are to hold, or one.
    match: str = "all"
    rows: tuple[Row, ...] = ()
    #: The filter as the API has it, in place of rows.
    json: str = ""
    is_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The filter that a form is, or what is wrong with it: by the number of the row, by `json`, with the reason."""

    filter: Filter = segments.EVERYBODY
    wrong: Mapping[str, str] = field(default_factory=dict)


def given(data: Mapping[str, str]) -> Given:
    """Return what was filled in; rows without a condition are left out."""
    numbers = sorted(int(found[1]) for key in data if (found := _ROW.fullmatch(key)))[:MOST_ROWS]
    rows = (
        Row(
            **{
                name: data.get(f"{name}_{number}", "").strip()
                for name in ("what", "name", "op", "value", "group", "file")
            }
        )
        for number in numbers
    )
    return Given(
        name=data.get("name", "").strip(),
        match="any" if data.get("match") == "any" else "all",
        rows=tuple(row for row in rows if row.what in WHAT and row.what),
        json=data.get("json", "")[:LONGEST_JSON],
        is_json=data.get("form") == "json",
    )


def of(name: str, filter_: Mapping[str, Any], zone: ZoneInfo, *, is_json: bool = False) -> Given:
    """Return the form of a kept filter; as the API has it where it is no rows."""
    rows = None if is_json else _rows(segments.read(filter_), zone)
    if rows is None:
        return Given(name=name, json=json.dumps(filter_, indent=2, ensure_ascii=False), is_json=True)
    match, found = rows
    return Given(name=name, match=match, rows=tuple(found))


def is_same(one: Given, other: Given) -> bool:
    """Whether two forms ask for the same people: a filter that was not touched is kept as it was written."""
    if one.is_json or other.is_json:
        return one.is_json and other.is_json and one.json.split() == other.json.split()
    return one.rows == other.rows and (one.match == other.match or len(one.rows) < MORE_THAN_ONE)


def read(form: Given, zone: ZoneInfo) -> Read:
    """Return the filter that a form is, or what is wrong with it."""
    if form.is_json:
        return _read_json(form.json)
    wrong: dict[str, str] = {}
    parts: list[Filter] = []
    for number, row in enumerate(form.rows):
        try:
            parts.append(segments.read(_asked(row, zone)))
        except InvalidFilter as error:
            wrong[f"what_{number}"] = error.mistakes[0][1]
        except ValueError as error:
            wrong[f"what_{number}"] = str(error)
    if wrong:
        return Read(wrong=wrong)
    if len(parts) == 1:
        return Read(filter=parts[0])
    return Read(filter=AnyOf(tuple(parts)) if parts and form.match == "any" else AllOf(tuple(parts)))


def _read_json(text: str) -> Read:
    try:
        return Read(filter=segments.read(json.loads(text)))
    except InvalidFilter as error:
        said = "; ".join(f"{pointer or '/'} {reason}" for pointer, reason in error.mistakes)
        return Read(wrong={"json": said})
    except (ValueError, RecursionError):
        return Read(wrong={"json": n_("this is not JSON")})


def _asked(row: Row, zone: ZoneInfo) -> Any:
    """Return the condition of a row as JSON. Raise ValueError."""
    is_not, what = row.what.startswith("not_"), row.what.removeprefix("not_")
    found: Any
    match what:
        case "any_tag" | "all_tags" | "no_tag":
            tags = _apart(row.value)
            if not tags:
                raise ValueError(n_("name a tag"))
            found = tags[0] if len(tags) == 1 else {"all" if what == "all_tags" else "any": tags}
            is_not = what == "no_tag"
        case "attribute":
            found = _compared(row)
        case "segment" | "import":
            key = row.group if what == "segment" else row.file
            if not key.isascii() or not key.isdigit() or len(key) > BIG_ID:
                raise ValueError(n_("choose one of the list"))
            found = {what: int(key)}
        case _:
            found = {_DID[what].value: _since(row.value, zone)}
    return {"not": found} if is_not else found


def _compared(row: Row) -> dict[str, Any]:
    asked = {"attribute": row.name}
    match row.op:
        case "known" | "unknown":
            return {**asked, "exists": row.op == "known"}
        case "yes" | "no":
            return {**asked, "eq": row.op == "yes"}
        case "in":
            return {**asked, "in": [_value(each) for each in _apart(row.value)]}
        case "eq" | "ne" | "lt" | "le" | "gt" | "ge":
            return {**asked, row.op: _value(row.value)}
    raise ValueError(n_("choose one of the list"))


def _since(text: str, zone: ZoneInfo) -> str:
    if match := _DAYS.fullmatch(text):
        return f"{int(match[1])} days"
    try:
        return datetime.combine(date.fromisoformat(text), time(), zone).isoformat()
    except ValueError:
        raise ValueError(n_("write a number of days, such as 30, or a date, such as 2026-11-27")) from None


def _value(text: str) -> Value:
    """Return the value that is meant: what looks like a number is one, unless it stands in quotes."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _apart(text: str) -> list[str]:
    return [each.strip() for each in text.replace(";", ",").split(",") if each.strip()]


def _rows(filter_: Filter, zone: ZoneInfo) -> tuple[str, list[Row]] | None:
    """Return whether all or any rows hold, and the rows; None where the filter is none of that."""
    whole = _row(filter_, zone)
    if whole is not None:
        return "all", [whole]
    match filter_:
        case AllOf(parts):
            found = "all", [_row(part, zone) for part in parts]
        case AnyOf(parts):
            found = "any", [_row(part, zone) for part in parts]
        case _:
            return None
    match_, rows = found
    kept = [row for row in rows if row is not None]
    return (match_, kept) if len(kept) == len(rows) <= MOST_ROWS - BLANK else None


def _row(filter_: Filter, zone: ZoneInfo) -> Row | None:
    """Return a condition as a row; None where it is none."""
    match filter_:
        case Not(AllOf() | Attribute() | Not()):
            return None
        case Not(part):
            row = _row(part, zone)
            if row is None:
                return None
            return Row(what="no_tag", value=row.value) if row.what == "any_tag" else _renamed(row, f"not_{row.what}")
        case Tag(tag):
            return Row(what="any_tag", value=tag)
        case AllOf(parts) | AnyOf(parts) if parts and all(isinstance(part, Tag) for part in parts):
            what = "all_tags" if isinstance(filter_, AllOf) else "any_tag"
            return Row(what=what, value=", ".join(segments.tags_of(filter_)))
        case Attribute():
            return _attribute_row(filter_)
        case Since(did, since):
            return (
                Row(what=next(what for what, each in _DID.items() if each is did), value=text)
                if (text := _ago(since, zone))
                else None
            )
        case InSegment(segment_id):
            return Row(what="segment", group=str(segment_id))
        case InImport(import_id):
            return Row(what="import", file=str(import_id))
    return None


def _renamed(row: Row, what: str) -> Row:
    return Row(what=what, name=row.name, op=row.op, value=row.value, group=row.group, file=row.file)


def _attribute_row(asked: Attribute) -> Row | None:
    if asked.op is Op.EXISTS:
        return Row(what="attribute", name=asked.name, op="known" if asked.value else "unknown")
    values: Sequence[Value] = asked.value if isinstance(asked.value, tuple) else (asked.value,)
    if any(attributes.kind_of(each) is Kind.YES_NO for each in values):
        if asked.op is not Op.EQ:
            return None
        return Row(what="attribute", name=asked.name, op="yes" if asked.value else "no")
    written = [_written(each) for each in values]
    if asked.op is Op.IN and any("," in each or ";" in each for each in written):
        return None
    return Row(what="attribute", name=asked.name, op=asked.op.value, value=", ".join(written))


def _written(given_: Value) -> str:
    """Return a value as it is typed: a text that would be taken for a number stands in quotes."""
    text = str(given_)
    return f'"{text}"' if isinstance(given_, str) and _value(text) != text else text


def _ago(since: datetime | timedelta, zone: ZoneInfo) -> str:
    if isinstance(since, timedelta):
        return str(since.days)
    local = since.astimezone(zone)
    return local.date().isoformat() if local.time() == time() else ""
