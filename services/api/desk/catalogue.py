"""The desk's texts in one catalogue (gettext). English stands in the code; another language is a `.po` in `locale/`.

A process speaks one language, that of its settings. What is looked up when a module is imported would stay English:
tables mark their texts (`gettext_noop`), and who shows one looks it up.
"""

import gettext as standard
import io
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog, mofile, pofile

from libs.common.errors import SettingsError
from libs.common.settings.names import PREFIX

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "desk"
ENGLISH = "en"


class Language(NamedTuple):
    """What texts, dates and numbers are said in."""

    code: str
    #: Babel's name for how dates and numbers are written.
    formats: str
    texts: standard.NullTranslations


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
    _spoken = _SOURCE if language == ENGLISH else Language(language, language, _compiled(read(language, folder)))


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


def ngettext(one: str, many: str, number: int) -> str:
    """Return the text of the two, or of as many as the language has, that goes with a number."""
    return _spoken.texts.ngettext(one, many, number)
