"""Which column is what.

Headings are understood in the forms that spreadsheets and other systems have, in English, Spanish and French: case,
accents, spaces and punctuation do not count.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from libs.common import phone_numbers
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import attribute_columns, consent_columns
from services.api.contacts.files.consent_columns import Polarity, words
from services.api.contacts.files.outcome import UnreadableFile

SHOWN = 60  # characters of a heading
MOST = 100  # headings that are named

NUMBERS = words("""
    phonenumber phone phoneno phonenum phonenr mobile mobilephone mobilenumber mobilephonenumber mobileno mobilenum cell
    cellphone cellnumber cellphonenumber cellno cellular telephone telephonenumber telephoneno tel telno telnumber
    smsnumber smsphone smsphonenumber textnumber e164 msisdn primaryphone primaryphonenumber contactnumber contactphone
    telefono numerodetelefono numerotelefono telefonomovil numerodetelefonomovil movil celular numerocelular
    numerodecelular telefonocelular telefonoprincipal numerodetelephone numerotelephone telephoneportable
    telephonemobile portable numeroportable numerodeportable numerodemobile numerodetelephoneportable
""")
NAMES = words("name fullname contactname nombre nombrecompleto nom nomcomplet")
TAGS = words("tags tag labels label etiquetas etiqueta etiquettes etiquette")
TIME_ZONES = words("timezone timezonename tz tzid zonahoraria husohorario fuseauhoraire")
#: The words that each person is to get; looked for only where a file is said to have them.
MESSAGES = words("""
    message messagetext messagebody text textmessage sms smstext body words content firstmessage message1
    mensaje texto primermensaje textodelmensaje texte messagetexte premiermessage
""")
FOLLOW_UPS = words("""
    followup followupmessage secondmessage message2 text2 seguimiento segundomensaje mensaje2 relance suivi
    deuxiememessage
""")
LANGUAGES = words("language lang locale preferredlanguage idioma lengua idiomapreferido langue languepreferee")


class Role(StrEnum):
    """What a column is taken for."""

    NOTHING = ""
    NUMBER = "number"
    NAME = "name"
    TAGS = "tags"
    TIME_ZONE = "time_zone"
    LANGUAGE = "language"
    #: A free attribute, which is called as the column is.
    ATTRIBUTE = "attribute"
    #: The words that a person is to get, and those of the follow-up.
    MESSAGE = "message"
    FOLLOW_UP = "follow_up"
    OUT = "out"
    IN = "in"
    STATUS = "status"


#: What one column alone may be.
ONCE = {
    Role.NUMBER: n_("phone number"),
    Role.NAME: n_("name"),
    Role.TAGS: n_("tags"),
    Role.TIME_ZONE: n_("time zone"),
    Role.LANGUAGE: n_("language"),
    Role.MESSAGE: n_("message"),
    Role.FOLLOW_UP: n_("follow-up"),
}
KNOWN = {
    Role.NUMBER: NUMBERS,
    Role.NAME: NAMES,
    Role.TAGS: TAGS,
    Role.TIME_ZONE: TIME_ZONES,
    Role.LANGUAGE: LANGUAGES,
}
#: What a yes means in a column that tells about consent.
POLARITIES = {Role.OUT: Polarity.OUT, Role.IN: Polarity.IN, Role.STATUS: Polarity.STATUS}


@dataclass(frozen=True, slots=True)
class Consent:
    """A column that tells whether somebody may be texted."""

    place: int
    heading: str
    polarity: Polarity


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a line things are."""

    count: int
    #: As they are shown.
    headings: tuple[str, ...]
    phone_number: int
    name: int | None
    tags: int | None
    time_zone: int | None
    language: int | None
    consents: tuple[Consent, ...]
    #: Columns in which a plain no counts all the same, whatever they are about.
    others: tuple[int, ...]
    #: Headings of the columns that are not read.
    passed_over: tuple[str, ...]
    #: Names of free attributes by the places of their columns.
    attributes: Mapping[int, str] = field(default_factory=dict)
    #: The words that each person is to get, where the file has them.
    message: int | None = None
    follow_up: int | None = None


def plain(heading: str) -> str:
    """Return the letters and digits of a heading, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", heading).casefold()
    return "".join(character for character in decomposed if character.isalnum())


def has_number(cells: Sequence[str]) -> bool:
    """Whether one of some headings is that of the phone numbers."""
    return any(plain(cell) in NUMBERS for cell in cells)


def read(cells: Sequence[str], *, attributes: bool = False, messages: bool = False) -> Columns:
    """Return which column is what. Raise UnreadableFile.

    With `messages` one has the words that each person is to get; with `attributes` those that are nothing else become
    some.
    """
    # Columns without a name behind the last one that has one are none: what is in them is too much for its line.
    cells = list(cells)
    while cells and not cells[-1].strip():
        cells.pop()
    headings = [plain(cell) for cell in cells]
    shown = [shorten(cell) for cell in cells]
    twice = [shown[place] for place, each in enumerate(headings) if each and each in headings[:place]]
    if twice:
        raise UnreadableFile(
            "file", filled('the column "%(heading)s" is there more than once: leave one of them', heading=twice[0])
        )
    number = _number(cells, headings, shown)
    name, tags = _only(headings, shown, NAMES, "name"), _only(headings, shown, TAGS, "tags")
    zone = _only(headings, shown, TIME_ZONES, "time zone", "time_zone")
    language = _only(headings, shown, LANGUAGES, "language", "language")
    message, follow_up = _messages(headings, shown) if messages else (None, None)
    consents = [
        Consent(place, shown[place], polarity)
        for place, each in enumerate(headings)
        if place not in (number, name, tags, zone, language, message, follow_up)
        and (polarity := consent_columns.polarity(each)) is not None
    ]
    read_ones = {number, name, tags, zone, language, message, follow_up, *(consent.place for consent in consents)}
    free = [place for place in range(len(cells)) if attributes and place not in read_ones]
    return Columns(
        count=len(cells),
        headings=tuple(shown),
        phone_number=number,
        name=name,
        tags=tags,
        time_zone=zone,
        language=language,
        consents=tuple(consents),
        others=tuple(
            place
            for place, each in enumerate(headings)
            if place not in read_ones and not consent_columns.is_of_other_ways(each)
        ),
        passed_over=tuple(
            shown[place] or f"column {place + 1}"
            for place in range(len(cells))
            if place not in read_ones and place not in free
        )[:MOST],
        attributes=attribute_columns.names({place: cells[place] for place in free}),
        message=message,
        follow_up=follow_up,
    )


def guess(cells: Sequence[str]) -> list[Role]:
    """Return what each column is, as far as its heading says so."""
    return [_role(plain(cell)) for cell in cells]


def chosen(cells: Sequence[str], roles: Sequence[Role]) -> Columns:
    """Return which column is what where a person has said so. Raise UnreadableFile.

    A column whose heading tells about consent is one, whatever was said: a no is never passed over.
    """
    found = [
        guessed if guessed in POLARITIES else roles[place] if place < len(roles) else Role.NOTHING
        for place, guessed in enumerate(guess(cells))
    ]
    shown = [shorten(cell) or f"column {place + 1}" for place, cell in enumerate(cells)]
    for role, what in ONCE.items():
        if found.count(role) > 1:
            raise UnreadableFile("file", filled("more than one column is chosen for the %(what)s", what=what))
    if Role.NUMBER not in found:
        raise UnreadableFile("phone_number", n_("no column is chosen for the phone number"))
    if Role.FOLLOW_UP in found and Role.MESSAGE not in found:
        raise UnreadableFile("file", n_("a column is chosen for the follow-up, and none for the message"))
    return Columns(
        count=len(cells),
        headings=tuple(shown),
        phone_number=found.index(Role.NUMBER),
        name=found.index(Role.NAME) if Role.NAME in found else None,
        tags=found.index(Role.TAGS) if Role.TAGS in found else None,
        time_zone=found.index(Role.TIME_ZONE) if Role.TIME_ZONE in found else None,
        language=found.index(Role.LANGUAGE) if Role.LANGUAGE in found else None,
        consents=tuple(
            Consent(place, shown[place], POLARITIES[role]) for place, role in enumerate(found) if role in POLARITIES
        ),
        others=tuple(
            place
            for place, role in enumerate(found)
            if role in (Role.NOTHING, Role.ATTRIBUTE) and not consent_columns.is_of_other_ways(plain(cells[place]))
        ),
        passed_over=tuple(shown[place] for place, role in enumerate(found) if role is Role.NOTHING)[:MOST],
        attributes=attribute_columns.names(
            {place: cells[place] for place, role in enumerate(found) if role is Role.ATTRIBUTE}
        ),
        message=found.index(Role.MESSAGE) if Role.MESSAGE in found else None,
        follow_up=found.index(Role.FOLLOW_UP) if Role.FOLLOW_UP in found else None,
    )


def _role(heading: str) -> Role:
    for role, known in KNOWN.items():
        if heading in known:
            return role
    polarity = consent_columns.polarity(heading)
    return next((role for role, each in POLARITIES.items() if each is polarity), Role.NOTHING)


def shorten(cell: str) -> str:
    """Return a heading as the answer names it: its beginning, on one line, without what is shown by nothing."""
    visible = "".join(c if c.isprintable() else " " for c in cell)
    return re.sub(r" +", " ", visible).strip()[:SHOWN]


def _number(cells: Sequence[str], headings: list[str], shown: list[str]) -> int:
    if "phonenumber" in headings:  # what the documentation calls it comes before other names
        return headings.index("phonenumber")
    found = _only(headings, shown, NUMBERS, "phone number", "phone_number")
    if found is not None:
        return found
    if any(map(_is_number, cells)):
        raise UnreadableFile(
            "phone_number",
            n_("the first line is a contact: put a line above it that names the columns, phone_number,name,tags"),
        )
    listed = ", ".join(f'"{each}"' for each in shown if each)[:1000] or "none"
    raise UnreadableFile(
        "phone_number",
        filled(
            "the first line must name the columns, phone_number (or Phone, Mobile, Cell, Teléfono, Téléphone) among "
            "them; it has: %(listed)s",
            listed=listed,
        ),
    )


def _messages(headings: list[str], shown: list[str]) -> tuple[int, int | None]:
    """Return the places of the message and of the follow-up. Raise UnreadableFile where there is no message."""
    message = _only(headings, shown, MESSAGES, "message")
    if message is None:
        listed = ", ".join(f'"{each}"' for each in shown if each)[:1000] or "none"
        raise UnreadableFile(
            "file",
            filled(
                "no column holds the message of each person: call it message; the first line has: %(listed)s",
                listed=listed,
            ),
        )
    return message, _only(headings, shown, FOLLOW_UPS, "follow-up")


def _only(headings: list[str], shown: list[str], known: frozenset[str], what: str, field: str = "file") -> int | None:
    """Return the place of the only column of a kind. Raise UnreadableFile if there are several."""
    places = [place for place, each in enumerate(headings) if each in known]
    if len(places) > 1:
        listed = ", ".join(f'"{shown[place]}"' for place in places)
        raise UnreadableFile(
            field,
            filled(
                "more than one column may hold the %(what)s: %(listed)s; leave one of them", what=what, listed=listed
            ),
        )
    return places[0] if places else None


def _is_number(cell: str) -> bool:
    try:
        phone_numbers.valid(cell)
    except ValueError:
        return False
    return True
