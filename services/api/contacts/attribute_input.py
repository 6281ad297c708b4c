"""Attributes, time zone and language as clients name them, brought to the form in which they are kept."""

from collections.abc import Callable, Mapping

from msgspec import UNSET, UnsetType

from libs.common.domain import attributes
from libs.common.domain.attributes import Value
from services.api.http.errors import InvalidFields


def checked_attributes(given: Mapping[str, Value | None]) -> dict[str, Value | None]:
    """Return changes of attributes, None where one is removed. Raise InvalidFields with every one that is none."""
    found: dict[str, Value | None] = {}
    faults = []
    for name, value in given.items():
        try:
            found[attributes.checked_name(name)] = None if value is None else attributes.checked_value(value)
        except ValueError as error:
            faults.append((f"attributes.{name}", str(error)))
    if faults:
        raise InvalidFields(*faults)
    return found


def checked_zone(given: str | UnsetType | None) -> str | UnsetType | None:
    """Return a time zone that a client names, if any. Raise InvalidFields."""
    return _checked("time_zone", given, attributes.checked_zone)


def checked_language(given: str | UnsetType | None) -> str | UnsetType | None:
    """Return a language that a client names, if any. Raise InvalidFields."""
    return _checked("language", given, attributes.checked_language)


def _checked(field: str, given: str | UnsetType | None, check: Callable[[str], str]) -> str | UnsetType | None:
    if given is None or given is UNSET:
        return given
    try:
        return check(given)
    except ValueError as error:
        raise InvalidFields((field, str(error))) from error
