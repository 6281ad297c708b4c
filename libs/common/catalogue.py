"""The texts for people in one catalogue (gettext): of the desk, and of notices outside it.

English stands in the code; another language is a `.po` in `services/api/desk/locale`.

A process speaks one language, that of its settings. What is looked up when a module is imported would stay English:
tables mark their texts (`gettext_noop`), and who shows one looks it up.
"""

import gettext as standard
import io
import re
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog, mofile, pofile

from libs.common.errors import SettingsError
from libs.common.settings.names import PREFIX

LOCALE = Path(__file__).parents[2] / "services" / "api" / "desk" / "locale"
DOMAIN = "desk"
ENGLISH = "en"
#: What the catalogue says of a text that comes to the desk with its placeholders filled (`libs.common.texts.filled`).
FILLED = "comes to the desk with its placeholders filled"

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class Language(NamedTuple):
    """What texts, dates and numbers are said in."""

    code: str
    #: Babel's name for how dates and numbers are written.
    formats: str
    texts: standard.NullTranslations
    #: Texts that come to the desk with their placeholders filled: how one is known again, and its message.
    filled: tuple[tuple[re.Pattern[str], str], ...] = ()


#: Days before months, and a clock of 24 hours.
_SOURCE = Language(ENGLISH, "en_GB", standard.NullTranslations())
_spoken = _SOURCE


def path(language: str, folder: Path = LOCALE) -> Path:
    """Return where the texts of a language are."""
    return folder / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def translations(folder: Path = LOCALE) -> list[str]:
    """Return the languages that there are besides English."""
    return sorted(each.parents[1].name for each in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(language: str, folder: Path = LOCALE) -> Catalog:
    """Return the catalogue of a language, as it is written."""
    with path(language, folder).open("rb") as file:
        return pofile.read_po(file, locale=language)


def speak(language: str, folder: Path = LOCALE) -> None:
    """Say everything in a language from now on. Raise SettingsError where there is no catalogue of it."""
    global _spoken  # noqa: PLW0603 - gettext, too, has one language a process
    known = [ENGLISH, *translations(folder)]
    if language not in known:
        raise SettingsError(f"{PREFIX}LANGUAGE: {language}, and there is only {', '.join(known)}")
    if language == ENGLISH:
        _spoken = _SOURCE
        return
    written = read(language, folder)
    comes_filled = [str(message.id) for message in written if FILLED in message.auto_comments]
    _spoken = Language(language, language, _compiled(written), tuple((_pattern(each), each) for each in comes_filled))


def _pattern(message: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(message)  # what stands between placeholders, and their names
    names = (f"(?P<{name}>.+)" for name in parts[1::2])
    return re.compile("".join(chain.from_iterable(zip_longest(map(re.escape, parts[::2]), names, fillvalue=""))))


def _compiled(written: Catalog) -> standard.GNUTranslations:
    compiled = io.BytesIO()
    mofile.write_mo(compiled, written)
    compiled.seek(0)
    return standard.GNUTranslations(compiled)


def language() -> str:
    """Return the language of the texts, as HTML names it."""
    return _spoken.code.replace("_", "-")


def formats() -> str:
    """Return Babel's name for how dates and numbers are written."""
    return _spoken.formats


def gettext(text: str) -> str:
    """Return a text in the language that is spoken."""
    return _spoken.texts.gettext(text) if text else ""  # to gettext, nothing is its own header


def said(text: str) -> str:
    """Return what another module says in English in the language that is spoken, with what fills it."""
    if (whole := gettext(text)) != text:
        return whole
    for pattern, message in _spoken.filled:
        if found := pattern.fullmatch(text):
            return gettext(message) % {name: said(value) for name, value in found.groupdict().items()}
    return text


def ngettext(one: str, many: str, number: int) -> str:
    """Return the text of the two, or of as many as the language has, that goes with a number."""
    return _spoken.texts.ngettext(one, many, number)
