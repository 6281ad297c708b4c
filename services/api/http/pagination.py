"""Cursors: where a page of a list ended."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from libs.common.errors import Invalid
from services.api.schemas import Page

T = TypeVar("T")


def cut(items: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """Make a page of `limit` items from a list that was read one item further."""
    more = len(items) > limit
    kept = list(items[:limit])
    return Page(items=kept, next_cursor=cursor(kept[-1]) if more else None)


def number(cursor: str | None, default: int) -> int:
    """Read a cursor that is an id. Raise Invalid."""
    if cursor is None:
        return default
    if not cursor.isdecimal():
        raise Invalid("cursor", "is not one that a page of this list gave")
    return int(cursor)


def pair(cursor: str | None) -> tuple[int, bool]:
    """Read a cursor that is a contact's id and whether its second message. Raise Invalid."""
    if cursor is None:
        return 0, False
    contact, dot, second = cursor.partition(".")
    if not dot:
        raise Invalid("cursor", "is not one that a page of this list gave")
    return int(contact), second == "1"
