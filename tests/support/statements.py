"""Statements of the product, changed by a test that takes a protection away."""

from typing import TypeVar

from sqlalchemy import TextClause, TextualSelect, text

S = TypeVar("S", TextClause, TextualSelect)


def replaced(statement: S, *changes: tuple[str, str]) -> S:
    """Return the statement with each old part replaced by the new one. Raise AssertionError if one is not in it."""
    if isinstance(statement, TextualSelect):
        types = {column.name: column.type for column in statement.selected_columns}
        return replaced(statement.element, *changes).columns(**types)
    sql = statement.text
    for old, new in changes:
        assert old in sql, f"the statement is another one by now: {old!r} is not in it"
        sql = sql.replace(old, new)
    return text(sql)
