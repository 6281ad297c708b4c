"""Rows as frozen dataclasses, and columns that are read as enums."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from msgspec import Struct, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import NoResultFound

from libs.common.database import EnumText, TypedJson, all_rows, first_row, literals, one_row
from libs.common.domain.states import ENDED, MessageState


@dataclass(frozen=True, slots=True)
class Pair:
    first: int
    second: int


class Answer(Struct):
    first: int
    second: int


def result(*rows: tuple[int, ...], columns: tuple[str, ...] = ("first", "second")) -> Result[Any]:
    return IteratorResult(SimpleResultMetaData(columns), iter(rows))


def test_rows_become_dataclasses() -> None:
    assert all_rows(result((1, 2), (3, 4)), Pair) == [Pair(1, 2), Pair(3, 4)]
    assert first_row(result((1, 2), (3, 4)), Pair) == Pair(1, 2)
    assert first_row(result(), Pair) is None
    assert one_row(result((1, 2)), Pair) == Pair(1, 2)


def test_rows_become_structs() -> None:
    assert all_rows(result((1, 2)), Answer) == [Answer(1, 2)]


def test_a_struct_of_other_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="fields"):
        first_row(result((1, 2), columns=("second", "first")), Answer)


def test_one_row_is_missed() -> None:
    with pytest.raises(NoResultFound):
        one_row(result(), Pair)


@pytest.mark.parametrize("columns", [("second", "first"), ("first", "other"), ("first",), ("first", "second", "third")])
@pytest.mark.parametrize("read", [all_rows, first_row, one_row])
def test_columns_in_another_order_or_of_other_names_are_refused(read: Any, columns: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="fields"):
        read(result(tuple(range(len(columns))), columns=columns), Pair)


def test_a_typed_column_is_read_as_a_member() -> None:
    states = text("SELECT 'started' AS state, NULL AS earlier").columns(
        state=EnumText(MessageState), earlier=EnumText(MessageState)
    )
    with create_engine("sqlite://").connect() as connection:
        row = connection.execute(states).one()
    assert row.state is MessageState.STARTED
    assert row.earlier is None


def test_a_word_that_is_no_member_is_not_read() -> None:
    unknown = text("SELECT 'lost' AS state").columns(state=EnumText(MessageState))
    with create_engine("sqlite://").connect() as connection, pytest.raises(KeyError, match="lost"):
        connection.execute(unknown).one()


def test_members_are_literals_in_a_statement() -> None:
    assert f"state = '{MessageState.PENDING}'" == "state = 'pending'"
    assert f"state IN {literals(ENDED)}" == "state IN ('accepted', 'refused', 'skipped')"


def test_a_whole_enum_can_be_listed() -> None:
    class Size(StrEnum):
        SMALL = "small"
        LARGE = "large"

    assert literals(Size) == "('small', 'large')"


def test_json_is_read_as_what_it_describes() -> None:
    pairs = text("""SELECT '[{"first": 1, "second": 2}]' AS pairs, NULL AS absent""").columns(
        pairs=TypedJson(list[Pair]), absent=TypedJson(list[Pair])
    )
    with create_engine("sqlite://").connect() as connection:
        row = connection.execute(pairs).one()
    assert row.pairs == [Pair(1, 2)]
    assert row.absent is None


def test_json_of_another_shape_is_not_read() -> None:
    other = text("""SELECT '{"first": "one"}' AS pair""").columns(pair=TypedJson(Pair))
    with create_engine("sqlite://").connect() as connection, pytest.raises(ValidationError):
        connection.execute(other).one()
