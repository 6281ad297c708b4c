"""Enums in SQL: a column of text that holds one of an enum's values.

In a statement a value is a literal that comes from the enum, `f"… WHERE state = '{MessageState.PENDING}'"`, and not a
parameter: PostgreSQL uses a partial index only where it can read the state in the statement.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

E = TypeVar("E", bound=StrEnum)


class EnumText(TypeDecorator[E]):
    """A column of text whose values are read as members of an enum."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], E | None]:
        """Return what reads a value: a look into a table, since rows are read for every message."""
        members: dict[Any, E | None] = {member.value: member for member in self.kind}
        members[None] = None
        return members.__getitem__


def literals(values: Iterable[StrEnum]) -> str:
    """Return values as a list in SQL: `f"state IN {literals(ENDED)}"`."""
    return f"({', '.join(repr(str(value)) for value in values)})"
