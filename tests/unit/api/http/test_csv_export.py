import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.http import csv_export, csv_lines

SIGNS = "=+-@＝＋－＠"


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "+1 313",
        "＝1+1",
        "＋1 1",
        "－2+3",
        "＠SUM(1)",
        " =1",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_made_a_text(cell: str) -> None:
    assert read(csv_export.line([cell])) == [[f"'{cell}"]]


@pytest.mark.parametrize("cell", ["+13135550001", "-5", "a=b", "", "Ana", "a; b", "don't", 'say "x"', "a\nb"])
def test_a_cell_that_is_none_stays_as_it_is(cell: str) -> None:
    assert read(csv_export.line([cell])) == [[cell]]


@pytest.mark.parametrize(
    "cell", ["Ana;=1+1", "x\t@SUM(1)", 'a;"=1', "a;  +2+3", "a;＝1", "a\n=1", "a;;-1+2", "a\r\n\t=1"]
)
def test_a_cell_that_is_divided_elsewhere_begins_no_formula(cell: str) -> None:
    written = csv_export.line(["7", cell, "b"])
    for delimiter in ",;\t":
        for each in (part for row in read(written, delimiter) for part in row):
            first = each.lstrip(' \t\r\n"')[:1]
            assert first not in SIGNS or not first, (delimiter, each)


def test_a_cell_with_a_semicolon_is_in_quotes() -> None:
    assert csv_export.line(["a;b", "c"]) == '"a;b",c\r\n'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_line_reads_back_as_its_cells(cells: list[str]) -> None:
    rows = read(csv_export.line(cells))
    assert len(rows) == 1
    assert [cell.replace("'", "") for cell in rows[0]] == [cell.replace("'", "") for cell in cells]


@given(st.lists(st.text(st.sampled_from("ab;\t\n\"' ,=+-@＝1")), min_size=1))
def test_no_part_of_a_cell_is_a_formula_whatever_divides_it(cells: list[str]) -> None:
    for row in read(csv_export.line(["7", *cells])):
        for cell in row:
            for part in cell.split(";"):
                first = part.strip("\"' ")[:1]
                assert first not in SIGNS or not first or "'" in part or csv_lines.NUMBER.match(part), part
