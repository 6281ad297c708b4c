"""Workbooks: what is in their cells, which sheet is read, and what is refused before it takes memory."""

import io
import zipfile
from contextlib import suppress
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.contacts.files import opening, stored_rows, workbooks
from services.api.contacts.files.outcome import Person, UnreadableFile
from tests.support.workbooks import Raw, Rows, ods, xlsx
from tests.unit.api.contact_files.support import read

PEOPLE: Rows = [
    ["Phone", "Name", "Unsubscribed", "Tags"],
    [3135550001.0, "José", False, "a"],
    [None, None, None, None],
    ["313 555 0002", "=CMD|' /C calc'!A0", True, "b"],
    [1.23e19, "Cy", False, ""],
    [3135550003.5, "Di", False, ""],
]


@pytest.mark.parametrize("make", [xlsx, ods])
def test_the_first_sheet_that_has_rows_is_read_and_the_others_are_named(make: type) -> None:
    people, summary = read(make({"Notes & more": [], "People": PEOPLE, "Third": [["x"]]}))
    assert people == [
        Person("+13135550001", "José", ("a",)),
        Person("+13135550002", "=CMD|' /C calc'!A0", ("b",), opted_out=True),
    ]
    assert (summary.sheet, summary.other_sheets, summary.encoding) == ("People", ["Notes & more", "Third"], "")
    assert [(each.line, each.reason.split(";")[0]) for each in summary.rejected] == [
        (5, "not a phone number: in scientific notation digits are lost"),
        (6, "not a phone number: a number with decimals"),
    ]


def test_a_hidden_sheet_is_not_what_somebody_means() -> None:
    assert read(xlsx({"Old": PEOPLE, "New": [["phone"], [3135550009]]}, hidden=["Old"]))[1].sheet == "New"
    with pytest.raises(UnreadableFile, match="no sheet of it holds anything"):
        read(xlsx({"Old": PEOPLE}, hidden=["Old"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"), (4915512345678.0, "4915512345678"), (15550100.0, "15550100"), (7, "7"), (0.5, "0.5"), (-2.0, "-2"),
        (1e15, "1.00000000000000E+15"), (True, "true"), (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2), "2026-01-02"), (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_cell_comes_out_as_it_was_meant(value: object, text: str) -> None:
    assert workbooks.text_of(value) == text


@given(st.integers(10**6, 10**15 - 1))
def test_a_number_that_a_spreadsheet_holds_keeps_every_digit(number: int) -> None:
    assert workbooks.text_of(float(number)) == str(number)


@pytest.mark.parametrize(
    "raw",
    [
        xlsx({"S": [["phone", "opted_out"], ["3135550001", Raw('<c r="B2"><f>A1</f><v></v></c>')]]}),
        xlsx({"S": [["phone", "opted_out"], ["3135550001", Raw('<c r="B2"><f>A1</f></c>')]]}),
        xlsx({"S": [["phone", "opted_out"], ["3135550001", Raw('<c r="B2"><f t="shared" si="0"/><v/></c>')]]}),
        ods({"S": [["phone", "opted_out"], ["3135550001", Raw('<table:table-cell table:formula="of:=[.A1]"/>')]]}),
    ],
)
def test_a_formula_without_its_result_may_hide_a_no(raw: bytes) -> None:
    with pytest.raises(UnreadableFile, match="formulas whose results are not in the file"):
        read(raw)


def test_a_formula_counts_by_its_result() -> None:
    cells = ['<c r="B2" t="str"><f>A1</f><v>yes</v></c>', '<c r="B3" t="str"><f>A1</f><v></v></c>']
    rows: Rows = [["phone", "opted_out"], ["3135550000", Raw(cells[0])], ["3135550001", Raw(cells[1])]]
    people, _ = read(xlsx({"S": rows}))
    assert [each.opted_out for each in people] == [True, False]


def test_a_formula_without_its_result_is_seen_where_what_is_unpacked_at_once_ends_within_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbooks, "BLOCK", 7)
    with pytest.raises(UnreadableFile, match="formulas"):
        read(xlsx({"S": [["phone"], [Raw('<c r="A2"><f>B1</f><v></v></c>')]]}))


@pytest.mark.parametrize("said", [None, 10])
def test_an_archive_is_unpacked_only_so_far_whatever_it_says_of_itself(
    monkeypatch: pytest.MonkeyPatch, said: int | None
) -> None:
    raw = xlsx({"S": [["phone"], ["3135550001"]]}, extra={"xl/bomb.xml": b"0" * 5_000_000})
    if said is not None:  # a size in the list of its parts that is not true
        raw = raw.replace((5_000_000).to_bytes(4, "little"), said.to_bytes(4, "little"))
    assert len(read(raw)[0]) == 1
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 4_000_000)
    with pytest.raises(UnreadableFile, match="unpacks to more than"):
        read(raw)


def test_a_cell_of_50_mb_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="line 2: a cell has more than 131,072 characters"):
        read(xlsx({"S": [["phone", "name"], ["3135550001", "x" * 50_000_000]]}))


def test_empty_columns_without_end_are_none() -> None:
    cells = "".join(f'<c r="{chr(65 + n // 676)}{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}1"/>' for n in range(16_000))
    head = '<c r="A1" t="inlineStr"><is><t>phone</t></is></c>'
    raw = xlsx({"S": f'<row r="1">{head}{cells}</row><row r="2"><c r="A2"><v>3135550001</v></c></row>'})
    assert len(read(raw)[0]) == 1
    repeated = '<table:table-cell table:number-columns-repeated="1000000"/>'
    raw = ods({"S": [["phone", Raw(repeated)], ["3135550001", Raw(repeated)]]})
    assert len(read(raw)[0]) == 1


def test_a_workbook_with_a_password_is_named_as_one() -> None:
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3_000_000) + "EncryptedPackage".encode("utf-16-le")
    plain = bytearray(xlsx({"S": PEOPLE}))
    with zipfile.ZipFile(io.BytesIO(bytes(plain))) as archive:
        starts = [archive.start_dir]
    plain[starts[0] + 8] |= 1  # the first part says that it is encrypted
    for raw in (encrypted, bytes(plain)):
        with pytest.raises(UnreadableFile, match="protected by a password"):
            read(raw)
    with pytest.raises(UnreadableFile, match="old Excel workbook"):
        read(encrypted[:100])


@given(st.data())
def test_a_damaged_workbook_gets_an_answer(data: st.DataObject) -> None:
    raw = bytearray(xlsx({"S": PEOPLE}))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=5)):
        raw[place] ^= data.draw(st.integers(1, 255))
    with suppress(UnreadableFile):
        read(bytes(raw))


def test_rows_are_stored_so_that_the_first_are_seen_without_the_others() -> None:
    target = io.BytesIO()
    stored_rows.write(workbooks.read(io.BytesIO(xlsx({"People": PEOPLE, "Other": []}))), target, 10_000)
    raw = target.getvalue()
    assert read(raw)[0] == read(xlsx({"People": PEOPLE}))[0]
    looked = opening.first(raw[:-20], 10, is_whole=False)
    assert (looked.sheet, looked.other_sheets, [number for number, _ in looked.lines]) == (
        "People",
        ["Other"],
        [1, 2, 4, 5],
    )
    for broken in (raw.replace(b"[4,", b'["4",'), raw[:30], raw[:-20]):
        with pytest.raises(UnreadableFile, match="damaged"):
            read(broken)
    with pytest.raises(UnreadableFile, match="more than 100 bytes of rows"):
        stored_rows.write(workbooks.read(io.BytesIO(xlsx({"People": PEOPLE}))), io.BytesIO(), 100)
