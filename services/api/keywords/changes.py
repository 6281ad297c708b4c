"""What staff do to keywords, in a transaction that is given: the HTTP API and the pages do the same."""

from collections.abc import Callable
from datetime import datetime

from msgspec import UNSET, UnsetType

from libs.common.database import Connection
from libs.common.domain import sign_up_words, tags
from libs.common.domain.events.registers import KeywordChanged, KeywordCreated, KeywordDeleted, RegisterEvent
from libs.common.eventstore import store
from services.api.http import versions
from services.api.http.errors import InvalidFields, NameTaken
from services.api.keywords import queries
from services.api.keywords.schemas import Keyword, KeywordChanges, NewKeyword

#: How each field is checked.
CHECKS: dict[str, Callable[[str], str]] = {
    "word": sign_up_words.checked_word,
    "tag": tags.checked,
    "welcome": sign_up_words.checked_welcome,
    "question": sign_up_words.checked_question,
}


async def create(connection: Connection, wish: NewKeyword, now: datetime) -> Keyword:
    """Make a keyword and return it. Raise InvalidFields, NameTaken."""
    word, tag, welcome, question = _checked(wish)
    assert word is not None  # these three are needed
    assert tag is not None
    assert welcome is not None
    keyword = await queries.add(connection, word, tag, welcome, question)
    if keyword is None:
        raise NameTaken
    await _record(connection, keyword.id, KeywordCreated(keyword_id=keyword.id), now)
    return keyword


async def change(
    connection: Connection,
    keyword_id: int,
    changes: KeywordChanges,
    now: datetime,
    *,
    wanted: frozenset[str] | None,
) -> Keyword:
    """Change a keyword and return it. Raise InvalidFields, NameTaken, Changed, NotFound.

    `wanted` are the versions that may be changed (`versions.tag`); None if any may.
    """
    await queries.lock(connection, keyword_id)
    before = await queries.one(connection, keyword_id)
    versions.check(wanted, before)
    word, tag, welcome, question = _checked(changes)
    after = (
        word or before.word,
        tag or before.tag,
        welcome or before.welcome,
        before.question if changes.question is UNSET else question,
    )
    seen = (before.word, before.tag, before.welcome, before.question)
    fields = tuple(name for name, old, new in zip(CHECKS, seen, after, strict=True) if old != new)
    if not fields:
        return before
    if not await queries.change(connection, keyword_id, *after):
        raise NameTaken
    await _record(connection, keyword_id, KeywordChanged(keyword_id=keyword_id, fields=fields), now)
    return await queries.one(connection, keyword_id)


async def delete(connection: Connection, keyword_id: int, now: datetime) -> None:
    """Delete a keyword; who has signed up by it stays. Raise NotFound."""
    await queries.lock(connection, keyword_id)
    await queries.one(connection, keyword_id)
    await queries.delete(connection, keyword_id)
    await _record(connection, keyword_id, KeywordDeleted(keyword_id=keyword_id), now)


def _checked(given: NewKeyword | KeywordChanges) -> list[str | None]:
    """Return the fields as they are kept, None for those that are not given. Raise InvalidFields with all faults."""
    found: list[str | None] = []
    faults = []
    for name, check in CHECKS.items():
        value: str | UnsetType | None = getattr(given, name)
        try:
            found.append(None if value is None or value is UNSET else check(value))
        except ValueError as error:
            faults.append((name, str(error)))
    if faults:
        raise InvalidFields(*faults)
    return found


async def _record(connection: Connection, keyword_id: int, event: RegisterEvent, now: datetime) -> None:
    await store.append(connection, f"keyword-{keyword_id}", [event], now=now)
