"""What one line says: somebody, a reason why it cannot be taken, or both where it says that somebody opted out.

A no is heard also from a line that is rejected for something else, as long as its number can be read.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from libs.common import phone_numbers
from libs.common.domain import attributes, tags
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import attribute_columns, consent_columns, message_columns
from services.api.contacts.files.headings import Columns
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import Person, Refusal, Rejected

LONGEST_NAME = 200  # characters
SHORT = 100  # characters of a cell of tags that is kept in memory for the next line


def read(line: Line, columns: Columns, regions: Sequence[str]) -> Iterator[Person | Refusal]:
    """Yield what a line says."""
    number, given = line
    cells = [cell.strip() for cell in given]
    cells += [""] * (columns.count - len(cells))
    is_out, unclear = _consent(columns, cells)
    written = cells[columns.phone_number]
    # Whoever wants nothing is put on record wherever they are.
    phone_number, faults = _phone_number(written, regions, anywhere=is_out)
    if len(cells) > columns.count and any(cells[columns.count :]):
        faults.insert(0, n_("more cells than the first line has columns"))
    name = "" if columns.name is None else unicodedata.normalize("NFC", cells[columns.name])
    if len(name) > LONGEST_NAME or "\x00" in name:
        faults.append(filled("the name has more than %(most)s characters, or a NUL", most=LONGEST_NAME))
    found, fault = ((), "") if columns.tags is None else _tags(cells[columns.tags])
    faults += [fault] if fault else []
    zone, language, message, follow_up, values = "", "", "", "", {}
    try:
        message = _words(columns, columns.message, cells)
        follow_up = _words(columns, columns.follow_up, cells)
        zone = _checked(columns, columns.time_zone, cells, attributes.checked_zone)
        language = _checked(columns, columns.language, cells, attributes.checked_language)
        values = {
            name: _checked(columns, place, cells, attribute_columns.checked)
            for place, name in columns.attributes.items()
            if cells[place]
        }
    except ValueError as error:
        faults.append(str(error))
    if not is_out and unclear:
        faults.append(unclear)
    if faults:
        yield Refusal(Rejected(number, faults[0]), written)
        if is_out and phone_number:
            yield Person(phone_number, "", (), opted_out=True)
    else:
        yield Person(phone_number, name, found, is_out, values, zone, language, message, follow_up)


def _phone_number(cell: str, regions: Sequence[str], *, anywhere: bool) -> tuple[str, list[str]]:
    if not cell:
        return "", [n_("no phone number")]
    try:
        return (phone_numbers.valid(cell, regions[0]) if anywhere else phone_numbers.textable(cell, regions)), []
    except ValueError as error:
        return "", [str(error)]


def _checked(columns: Columns, place: int | None, cells: Sequence[str], check: Callable[[str], str]) -> str:
    """Return what is in a cell, checked; nothing where it is empty. Raise ValueError that names the column."""
    if place is None or not cells[place]:
        return ""
    try:
        return check(cells[place])
    except ValueError as error:
        heading = columns.headings[place]
        raise ValueError(filled('what is under "%(heading)s": %(fault)s', heading=heading, fault=error)) from None


def _words(columns: Columns, place: int | None, cells: Sequence[str]) -> str:
    """Return the words that somebody is to get; nothing where the file has none. Raise ValueError."""
    if place is None:
        return ""
    try:
        return message_columns.checked(cells[place])
    except ValueError as error:
        heading = columns.headings[place]
        raise ValueError(filled('the message under "%(heading)s" %(fault)s', heading=heading, fault=error)) from None


def _tags(cell: str) -> tuple[tuple[str, ...], str]:
    """Return the tags of a cell, or why they are none. The same ones come again and again."""
    return _tags_again(cell) if len(cell) <= SHORT else _tags_of(cell)


def _tags_of(cell: str) -> tuple[tuple[str, ...], str]:
    try:
        found = {tags.checked(tag) for tag in _parts(cell)}
    except ValueError as error:
        return (), str(error)
    if len(found) > tags.MOST:
        return (), filled("more than %(most)s tags", most=tags.MOST)
    return tuple(sorted(found)), ""


_tags_again = lru_cache(maxsize=4096)(_tags_of)


def _parts(cell: str) -> list[str]:
    """Return what is between the separators of a cell of tags."""
    return [tag.strip() for tag in cell.replace(",", ";").split(";") if tag.strip()]


def _consent(columns: Columns, cells: Sequence[str]) -> tuple[bool, str]:
    """Return whether a line says no, and otherwise why that cannot be told, if it cannot."""
    is_out, unclear = False, ""
    for column in columns.consents:
        try:
            is_out = consent_columns.is_no(cells[column.place], column.polarity) or is_out
        except ValueError as error:
            unclear = unclear or filled('what is under "%(heading)s" %(fault)s', heading=column.heading, fault=error)
    if columns.tags is not None and consent_columns.may_be_plainly_no(cells[columns.tags]):
        is_out = is_out or any(map(consent_columns.is_plainly_no, _parts(cells[columns.tags])))
    for place in columns.others:
        is_out = is_out or consent_columns.is_plainly_no(cells[place])
    return is_out, unclear
