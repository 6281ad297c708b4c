import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api import sheet


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "+1 313"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_a_text(cell: str) -> None:
    assert next(csv.reader(io.StringIO(sheet.line([cell]), newline=""))) == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["+13135550001", "-5", "a=b", "", "Ana"])
def test_a_cell_that_is_none_stays_as_it_is(cell: str) -> None:
    assert next(csv.reader(io.StringIO(sheet.line([cell]), newline=""))) == [cell]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_line_reads_back_as_its_cells(cells: list[str]) -> None:
    read = list(csv.reader(io.StringIO(sheet.line(cells), newline="")))
    assert len(read) == 1
    assert [cell.removeprefix("'") for cell in read[0]] == [cell.removeprefix("'") for cell in cells]
