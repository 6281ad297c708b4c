"""The desk's texts, collected from the code by Babel: `python -m services.api.desk.texts` writes `locale/desk.pot`.

The catalogues of other languages are brought up to it: what is new in it is empty there, what is gone is left out.
With the code of a language (`es`, `es_MX`) behind it, it begins that one's catalogue.
"""

import inspect
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from babel.messages import Catalog, pofile
from babel.messages.extract import extract_from_dir

from libs.common import catalogue
from libs.common.domain import message_parts
from libs.common.errors import Rejected
from services.api.http import problems

ROOT = Path(__file__).parents[3]
#: Where texts are that somebody reads at the desk, or in a notice.
CODE = ("libs/common", "services/api", "services/planner/notices")
METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
#: Jinja's extension is that of `rendering`; a template that cannot be read is an error.
OPTIONS = {"**/templates/**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}}
#: What marks a text: these functions, and which of their arguments.
KEYWORDS = {"_": None, "n_": None, "ngettext": (1, 2)}
HEAD = "# The texts of Broadsheet's desk."
FILLED = {"filled": None}
#: What a comment begins with that is for translators.
COMMENT = "Translators:"

#: Lines of a head that change with the day and with Babel.
_CHANGING = re.compile(r'^"(POT-Creation-Date|Generated-By): .*\n', re.MULTILINE)


def template() -> Catalog:
    """Return all texts of the desk. They are the same in every run on the same code."""
    made = Catalog(charset="utf-8", header_comment=HEAD)
    for keywords, remarks in ((KEYWORDS, []), (FILLED, [catalogue.FILLED])):
        for folder in CODE:
            found = extract_from_dir(ROOT / folder, METHODS, OPTIONS, keywords, [COMMENT], strip_comment_tags=True)
            for file, _line, text, comments, _context in sorted(found, key=lambda each: each[:2]):
                made.add(text, locations=[(f"{folder}/{file}", 0)], auto_comments=[*comments, *remarks])
    for name in message_parts.names():
        made.add(name, locations=[("libs/common/domain/message_parts.py", 0)])
    for error in errors():
        made.add(inspect.getdoc(error) or "", locations=[(error.__module__.replace(".", "/") + ".py", 0)])
    return made


def errors() -> list[type[Rejected]]:
    """Return the errors that tell people their docstring, where they are not told more."""
    return [error for error in problems.PROBLEMS if issubclass(error, Rejected)]


def write(folder: Path = catalogue.LOCALE, begin: Sequence[str] = ()) -> None:
    """Write the template, begin languages, and bring all that there are up to it."""
    made = template()
    folder.mkdir(exist_ok=True)
    (folder / f"{catalogue.DOMAIN}.pot").write_text(as_file(made), encoding="utf-8")
    for language in begin:
        path = catalogue.path(language, folder)
        path.parent.mkdir(parents=True)
        path.write_text(as_file(Catalog(language, header_comment=HEAD, fuzzy=False)), encoding="utf-8")
    for language in catalogue.translations(folder):
        catalogue.path(language, folder).write_text(as_file(brought_up(language, made, folder)), encoding="utf-8")


def brought_up(language: str, made: Catalog, folder: Path = catalogue.LOCALE) -> Catalog:
    """Return a language's catalogue with the texts of the template, as far as they were translated."""
    translated = catalogue.read(language, folder)
    translated.update(made, no_fuzzy_matching=True)
    return translated


def faults(language: str, folder: Path = catalogue.LOCALE) -> list[str]:
    """Return what is wrong in a language's translations: a placeholder that its text does not have, say."""
    found = catalogue.read(language, folder).check()
    return [f"{language}: {message.id}: {error}" for message, errors in found for error in errors]


def as_file(made: Catalog) -> str:
    """Return a catalogue as it stands in its file: sorted, without dates and numbers of lines."""
    file = io.BytesIO()
    pofile.write_po(file, made, width=120, sort_output=True, ignore_obsolete=True, include_lineno=False)
    return _CHANGING.sub("", file.getvalue().decode())


if __name__ == "__main__":
    write(begin=sys.argv[1:])
    wrong = [fault for language in catalogue.translations() for fault in faults(language)]
    sys.exit("\n".join(wrong) or 0)
