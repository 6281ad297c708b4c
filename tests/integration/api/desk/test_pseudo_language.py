"""Every page in a made-up language of Greek letters: what is in Latin ones there does not come from the catalogue."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import Catalog

from libs.common import catalogue
from libs.common.domain import regional_hours
from libs.common.domain.roles import Role
from services.api.desk import texts, times
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk import crawling
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.desk.test_import_pages import ODD, columns, taken
from tests.integration.api.desk.test_reply_pages import likely
from tests.integration.api.support import Api
from tests.support import visible

#: Dates and numbers are Babel's, and in Greek, too.
LANGUAGE = "el"
LATIN = "abcdefghijklmnopqrstuvwxyz"
GREEK = str.maketrans(LATIN + LATIN.upper(), "αβψδεφγηιξκλμνοπςρστυωχθζζ" + "ΑΒΨΔΕΦΓΗΙΞΚΛΜΝΟΠΣΡΣΤΥΩΧΘΖΖ")
#: Placeholders and tags stay as they are.
KEPT = re.compile(r"(%\(\w+\)\w|<[^>]*>)")
WORD = re.compile("[A-Za-z]{2,}")
#: They say in letters of their own how dates are written.
PATTERNS = (times.CLOCK, times.CLOCK_TO_THE_SECOND, times.DAY, times.DAY_OF_A_YEAR, times.WHOLE)

#: What people have named or written, and what is called so in every language: removed wherever it stands.
NAMES = re.compile(
    r"Ana Diaz|\bMissive\b|^Twilio$|\bBroadsheet$|segment \d|next(?=:| ιν| ισ| –|$)|(?<=ν )(=cmd|Handy|Who)$"
    r"|(?<=\")Opted out(?=\")|people\.csv|\w+@example\.org"
    r"|America/(?:Detroit|New_York)|United States(?=, τοο)|settings(?=”| \()"
    r"|It's \"free\" \\ \$\$ %s {} —(\.\.\.| ¿vienes\? 🎉\nJoin us)|GSM-7|UCS-2"
    # A variable, as it is written.
    r"|\{\{ first_name \| default: \"neighbor\" \}\}"
    # What somebody said, in quotes.
    r"|(?<=“)STOP(?=”)"
    # A tag within a sentence, and a filter as programs write it.
    r"|(?<=ηε ταγ )made(?=\.?$)|\"(?:all|any|tag|made)\""
    # Holidays have no names in Greek, an emoji no replacement, and so only the name that Unicode gives it.
    r"|[\w .']+ (?:Day|Birthday)(?: \(observed\))?$|party popper"
)
#: The same, where it stands alone: words of messages, cells of the file, a browser, regions and their laws.
ALONE = {
    "hi",
    "again",
    "STOP",
    "made",
    "who is this, take me off",
    "Don't forget",
    "a test",
    *re.split("[;\r\n]+", ODD),
    *(word for rule in regional_hours.rules().values() for word in (rule.name, rule.law)),
}


def in_greek(text: str) -> str:
    """Return a text in Greek letters. It means nothing."""
    if text in PATTERNS:
        return text
    return "".join(part if KEPT.fullmatch(part) else part.translate(GREEK) for part in KEPT.split(text))


@pytest.fixture
def greek(tmp_path: Path) -> Iterator[None]:
    made = Catalog(locale=LANGUAGE, fuzzy=False)
    for message in texts.template():
        if message.id:
            one_or_two = (message.id,) if isinstance(message.id, str) else message.id
            said = tuple(in_greek(form) for form in one_or_two)
            comments = message.auto_comments
            made.add(message.id, said if message.pluralizable else said[0], auto_comments=comments)
    path = catalogue.path(LANGUAGE, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(texts.as_file(made), encoding="utf-8")
    catalogue.speak(LANGUAGE, tmp_path)
    yield
    catalogue.speak(catalogue.ENGLISH)


def in_latin(page: str) -> set[str]:
    """Return what a page says in Latin letters, but for what people wrote."""
    said = {NAMES.sub("", text).strip(" ·\n") for text in visible.texts(page)} - ALONE
    return {text for text in said if WORD.search(text)}


async def test_every_word_of_every_page_is_in_the_catalogue(api: Api, greek: None) -> None:
    broadcast = await halfway(api)
    await likely(api)
    await api.broadcast(await api.segment("made", name="next"))
    await api.post("/keywords", {"word": "новости", "tag": "новости", "welcome": "STOP"})
    async with signed_in(api, Role.ADMIN) as browser:
        file = await taken(browser, ODD)
        await browser.submit(f"{file}/check", file, **columns("number", "name"))
        seen = await crawling.pages(browser, ["/desk", f"/desk/broadcasts/{broadcast}", file])
    pages = {address: page for address, page in seen.items() if "<html" in page}
    assert len(pages) > 50
    assert {address: found for address, page in pages.items() if (found := in_latin(page))} == {}
