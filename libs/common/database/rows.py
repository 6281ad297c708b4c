"""Rows as frozen dataclasses or structs, whose fields are the columns of a statement in their order.

They are filled by position, which is what a row costs least. So that no column is taken for another, the names are
compared, once for each result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Result

T = TypeVar("T")


def all_rows(cursor: Result[Any], kind: Callable[..., T]) -> list[T]:
    """Return the rows of a result. Raise TypeError if its columns are not the fields of `kind`."""
    _check(cursor, kind)
    return [kind(*row) for row in cursor]


def first_row(cursor: Result[Any], kind: Callable[..., T]) -> T | None:
    """Return the first row of a result, None if there is none. Raise TypeError if its columns do not fit."""
    _check(cursor, kind)
    row = cursor.first()
    return None if row is None else kind(*row)


def one_row(cursor: Result[Any], kind: Callable[..., T]) -> T:
    """Return the only row of a result. Raise TypeError if its columns do not fit."""
    _check(cursor, kind)
    return kind(*cursor.one())


def row_of(record: Mapping[str, Any], kind: Callable[..., T]) -> T:
    """Return a row that the driver gave. Raise TypeError if its columns are not the fields of `kind`."""
    _compare(tuple(record.keys()), kind)
    return kind(*record.values())


def rows_of(
    records: Sequence[Mapping[str, Any]], kind: Callable[..., T], converters: Mapping[str, Callable[[Any], Any]]
) -> list[T]:
    """Return rows that the driver gave; `converters` read the values of some columns.

    Raise TypeError if the columns are not the fields of `kind`.
    """
    if not records:
        return []
    names = tuple(records[0].keys())
    _compare(names, kind)
    converted = [(names.index(name), convert) for name, convert in converters.items()]
    rows = []
    for record in records:
        values = list(record.values())
        for place, convert in converted:
            values[place] = convert(values[place])
        rows.append(kind(*values))
    return rows


def _check(cursor: Result[Any], kind: Callable[..., object]) -> None:
    _compare(tuple(cursor.keys()), kind)


def _compare(columns: tuple[str, ...], kind: Callable[..., object]) -> None:
    if columns != _names(kind):
        raise TypeError(f"{kind} has other fields than the statement has columns: {', '.join(columns)}")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(kind.__struct_fields__) if issubclass(kind, Struct) else tuple(field.name for field in fields(kind))
