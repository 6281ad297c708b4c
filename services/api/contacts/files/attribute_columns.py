"""Columns that become free attributes, if a person asks for it: what they are called, and what their values are.

A column is of one kind: of numbers, of dates or of yes and no where every cell that is not empty is one, else of text.
That is known when the whole file was read; until then its values are the texts of its cells.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from libs.common.domain import attributes
from libs.common.domain.attributes import Kind, Value
from libs.common.texts import filled
from services.api.contacts.files.outcome import UnreadableFile

#: No leading zeros: those of a postal code matter.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,10})?(?![\s\S])")
_DATE = re.compile(attributes.DATE_PATTERN)
_YES = frozenset(["yes", "true", "y", "sí", "si", "oui", "vrai", "verdadero", "✓", "✔"])
_NO = frozenset(["no", "false", "n", "non", "faux", "falso"])


def name_of(heading: str, place: int) -> str:
    """Return what the attribute of a column is called: `Zip code` is `zip_code`, one without letters `column_3`."""
    decomposed = unicodedata.normalize("NFKD", heading).casefold()
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[: attributes.LONGEST_NAME].strip("_")
    return name or f"column_{place + 1}"


def names(headings: Mapping[int, str]) -> dict[int, str]:
    """Return the names of the attributes of columns, by their places. Raise UnreadableFile."""
    found: dict[int, str] = {}
    for place, heading in headings.items():
        name = name_of(heading, place)
        if name in found.values():
            raise UnreadableFile(
                "file", filled('more than one column would be the attribute "%(name)s": rename one', name=name)
            )
        try:
            found[place] = attributes.checked_name(name)
        except ValueError as error:
            raise UnreadableFile("file", str(error)) from None
    if len(found) > attributes.MOST:
        raise UnreadableFile(
            "file", filled("has more than %(most)s columns that would be attributes", most=attributes.MOST)
        )
    return found


class Kinds:
    """What the values of columns can be, by all of them that were seen."""

    def __init__(self) -> None:
        self._possible: dict[str, set[Kind]] = {}

    def see(self, name: str, cell: str) -> None:
        """Take a value of a column into account."""
        possible = self._possible.get(name)
        if possible is None:
            possible = self._possible[name] = {Kind.NUMBER, Kind.DATE, Kind.YES_NO}
        if possible:
            possible.intersection_update(_kinds(cell))

    def all(self) -> dict[str, Kind]:
        """Return the kind of each column that had a value."""
        return {name: min(possible, default=Kind.TEXT) for name, possible in self._possible.items()}


def typed(texts: Mapping[str, Value], kinds: Mapping[str, Kind]) -> dict[str, Value]:
    """Return the values of somebody's attributes as they are kept."""
    return {name: _value(str(text), kinds.get(name, Kind.TEXT)) for name, text in texts.items()}


def checked(cell: str) -> str:
    """Return a cell as it may be kept as a text. Raise ValueError with the reason."""
    # A text that looks like a date and is on no calendar cannot be kept: everybody would take it for a date.
    return str(attributes.checked_value(cell))


def _value(text: str, kind: Kind) -> Value:
    match kind:
        case Kind.NUMBER:
            return attributes.checked_value(float(text) if "." in text else int(text))
        case Kind.YES_NO:
            return text.casefold() in _YES
        case _:
            return text


def _kinds(cell: str) -> Sequence[Kind]:
    if _NUMBER.match(cell):
        return (Kind.NUMBER,)
    if _DATE.match(cell):
        return (Kind.DATE,)
    if cell.casefold() in _YES or cell.casefold() in _NO:
        return (Kind.YES_NO,)
    return ()
