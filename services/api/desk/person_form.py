"""The form of what is known of a person: attributes, time zone, language. Pure.

An attribute that is there keeps its kind, and an empty field removes it. A new one says of which kind it is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from libs.common.domain import attributes
from libs.common.domain.attributes import Kind, Value
from libs.common.texts import gettext_noop as n_

#: The kinds of a new attribute, as they are offered.
KINDS = {
    Kind.TEXT: n_("text"),
    Kind.NUMBER: n_("number"),
    Kind.DATE: n_("date"),
    Kind.YES_NO: n_("yes or no"),
}
_NUMBER = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,10})?")
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What the form changes, and what is wrong with it, by the field."""

    attributes: Mapping[str, Value | None] = field(default_factory=dict)
    time_zone: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    wrong: Mapping[str, str] = field(default_factory=dict)


def read(data: Mapping[str, str], known: Mapping[str, Value]) -> Read:
    """Return what a form changes of a person of whom some attributes are known."""
    wrong: dict[str, str] = {}
    changes: dict[str, Value | None] = {}

    def tried(field_name: str, check: Callable[[str], str]) -> str | UnsetType | None:
        given = data.get(field_name)
        try:
            return UNSET if given is None else check(given.strip()) if given.strip() else None
        except ValueError as error:
            wrong[field_name] = str(error)
            return UNSET

    for name, value in known.items():
        typed = data.get(f"attribute_{name}")
        if typed is None:
            continue
        try:
            changes[name] = _value(attributes.kind_of(value), typed.strip())
        except ValueError as error:
            wrong[f"attribute_{name}"] = str(error)
    name, typed = data.get("new_name", "").strip(), data.get("new_value", "").strip()
    if name or typed:
        try:
            changes[attributes.checked_name(name)] = _value(Kind(data.get("new_kind", Kind.TEXT)), typed)
            if not typed:
                wrong["new_value"] = n_("say what it is")
            attributes.changed(known, changes)
        except ValueError as error:
            wrong["new_name"] = str(error)
    return Read(
        attributes=changes,
        time_zone=tried("time_zone", attributes.checked_zone),
        language=tried("language", attributes.checked_language),
        wrong=wrong,
    )


def typed(value: Value) -> str:
    """Return a value as it stands in its field."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _value(kind: Kind, given: str) -> Value | None:
    """Return the value that was typed, None where nothing was. Raise ValueError."""
    if not given:
        return None
    match kind:
        case Kind.NUMBER:
            if not _NUMBER.fullmatch(given):
                raise ValueError(n_("this is no number"))
            return attributes.checked_value(float(given) if "." in given else int(given))
        case Kind.YES_NO:
            if given not in _YES_NO:
                raise ValueError(n_("this is neither yes nor no"))
            return _YES_NO[given]
        case Kind.DATE if attributes.kind_of(given) is not Kind.DATE:
            raise ValueError(n_("this is no date such as 2026-11-27"))
    return attributes.checked_value(given)
