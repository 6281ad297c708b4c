"""What one line says: somebody, a reason why it cannot be taken, or both where it says that somebody opted out.

A no is heard also from a line that is rejected for something else, as long as its number can be read.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence

from libs.common import phone_numbers
from libs.common.domain import tags
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import consent_columns
from services.api.contacts.files.headings import Columns
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import Person, Rejected

LONGEST_NAME = 200  # characters


def read(line: Line, columns: Columns, regions: Sequence[str]) -> Iterator[Person | Rejected]:
    """Yield what a line says."""
    number, cells = line

    def cell(column: int | None) -> str:
        return cells[column].strip() if column is not None and column < len(cells) else ""

    is_out, unclear = _consent(columns, cell)
    # Whoever wants nothing is put on record wherever they are.
    phone_number, faults = _phone_number(cell(columns.phone_number), regions, anywhere=is_out)
    if any(not (extra == "" or extra.isspace()) for extra in cells[columns.count :]):
        faults.insert(0, n_("more cells than the first line has columns"))
    name = unicodedata.normalize("NFC", cell(columns.name))
    if len(name) > LONGEST_NAME or "\x00" in name:
        faults.append(filled("the name has more than %(most)s characters, or a NUL", most=LONGEST_NAME))
    found, fault = _tags(cell(columns.tags))
    faults += [fault] if fault else []
    if not is_out and unclear:
        faults.append(unclear)
    if faults:
        yield Rejected(number, faults[0])
        if is_out and phone_number:
            yield Person(phone_number, "", (), opted_out=True)
    else:
        yield Person(phone_number, name, found, opted_out=is_out)


def _phone_number(cell: str, regions: Sequence[str], *, anywhere: bool) -> tuple[str, list[str]]:
    if not cell:
        return "", [n_("no phone number")]
    try:
        return (phone_numbers.valid(cell, regions[0]) if anywhere else phone_numbers.textable(cell, regions)), []
    except ValueError as error:
        return "", [str(error)]


def _tags(cell: str) -> tuple[tuple[str, ...], str]:
    try:
        found = {tags.checked(tag) for tag in _parts(cell)}
    except ValueError as error:
        return (), str(error)
    if len(found) > tags.MOST:
        return (), filled("more than %(most)s tags", most=tags.MOST)
    return tuple(sorted(found)), ""


def _parts(cell: str) -> list[str]:
    """Return what is between the separators of a cell of tags."""
    return [tag.strip() for tag in cell.replace(",", ";").split(";") if tag.strip()]


def _consent(columns: Columns, cell: Callable[[int | None], str]) -> tuple[bool, str]:
    """Return whether a line says no, and otherwise why that cannot be told, if it cannot."""
    is_out, unclear = False, ""
    for column in columns.consents:
        try:
            is_out = consent_columns.is_no(cell(column.place), column.polarity) or is_out
        except ValueError as error:
            unclear = unclear or filled('what is under "%(heading)s" %(fault)s', heading=column.heading, fault=error)
    said = [cell(place) for place in columns.others] + _parts(cell(columns.tags))
    return is_out or any(map(consent_columns.is_plainly_no, said)), unclear
