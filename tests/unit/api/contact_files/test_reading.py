"""Files as spreadsheets and other systems write them."""

import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.api.contacts.files import lines, reading
from services.api.contacts.files.outcome import Person, Rejected, UnreadableFile
from tests.unit.api.contact_files.support import numbers, read, reasons


@given(st.binary())
@example(b"\x0b")
@example(b"sep=x\nxxx\n")
def test_no_file_at_all_is_too_odd(raw: bytes) -> None:
    for head in (b"", b"phone,name,tags,opted_out,status,subscribed\n"):
        with suppress(UnreadableFile):
            read(head + raw)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_a_reason_never_holds_what_the_line_does(cells: list[str]) -> None:
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    known = (
        "more cells",
        "no phone",
        "not a phone",
        "a number of",
        "a premium",
        "the name has",
        "a tag has",
        "what is under",
    )
    for _, reason in reasons(f"phone,name,tags,opted_out\n{quoted}\n"):
        assert reason.startswith(known), reason


def test_a_line_is_told_by_where_it_begins() -> None:
    people, summary = read(b'phone,name\n\n"x","a\nb"\n3135550001,"c\nd"\nx,e\n')
    assert people == [Person("+13135550001", "c\nd", ())]
    assert summary.rejected == [
        Rejected(3, "not a phone number: letters are not digits"),
        Rejected(7, "not a phone number: letters are not digits"),
    ]
    assert reasons("sep=,\n\nphone\n\nx\n") == [(5, "not a phone number: letters are not digits")]


@pytest.mark.parametrize(
    "raw",
    [
        "phone,name\n3135550001,Ana\n",
        "phone;name\n3135550001;Ana\n",
        "phone\tname\r\n3135550001\tAna\r\n",
        "phone|name\n3135550001|Ana\n",
        "sep=;\nphone;name\n3135550001;Ana\n",
        '"sep=;"\r\nphone;name\r\n3135550001;Ana\r\n',
        "sep=\t\nphone\tname\n3135550001\tAna\n",
        "\ufeffphone,name\n3135550001,Ana\n",
        "\n\n , \nphone,name\n3135550001,Ana\n",
        "phone,name\r3135550001,Ana\r",
        "phone,name\n3135550001,Ana",
        '"phone","name"\n"3135550001","Ana"\n',
    ],
)
def test_a_file_is_read_whatever_separates_its_cells(raw: str) -> None:
    assert read(raw)[0] == [Person("+13135550001", "Ana", ())]


def test_surplus_empty_cells_are_none() -> None:
    assert numbers("phone,name\n3135550001,Ana,,,\n3135550002,Bo, , \n,,,,\n") == ["0001", "0002"]
    assert numbers("phone,name,,,\n3135550001,Ana,,,\n") == ["0001"]
    assert reasons("phone,name,,\n3135550001,Ana,,x\n") == [(2, "more cells than the first line has columns")]


@pytest.mark.parametrize(
    "heading",
    ["phone_number", "Phone Number", "PHONE", " Mobile ", "Cell", "Cell Phone", "phone-number", "Tel.", "Telephone",
     "Teléfono", "Número de teléfono", "Celular", "Móvil", "Téléphone", "Numéro de téléphone", "Portable", "Phone #",
     "ＰＨＯＮＥ", "E164"],
)  # fmt: skip
def test_a_heading_is_understood_in_its_usual_forms(heading: str) -> None:
    assert numbers(f"id,{heading}\n1,3135550001\n") == ["0001"]


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        ("", "phone_number", "the file is empty"),
        ("\n" * 10, "phone_number", "no line of it holds anything"),
        ("Contact,Notes\nAna,x\n", "phone_number", r'it has: "Contact", "Notes"$'),
        ("3135550001,Ana\n", "phone_number", "the first line is a contact"),
        ("phone,name,Phone\n1,2,3\n", "file", 'the column "Phone" is there more than once'),
        ("phone,Notes,notes\n1,2,3\n", "file", 'the column "notes" is there more than once'),
        ("Phone,Mobile\n1,2\n", "phone_number", 'more than one column may hold the phone number: "Phone", "Mobile"'),
        ("phone,name,nombre\n1,2,3\n", "file", "more than one column may hold the name"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1...", "file", r"old Excel workbook \(\.xls\)"),
        (b"%PDF-1.7", "file", "PDF"),
        (b"\x1f\x8b\x08", "file", "gzip"),
        (b"<!DOCTYPE html><html>", "file", "a web page"),
        (b'[{"phone": "3135550001"}]', "file", "JSON"),
        (b"BEGIN:VCARD", "file", "vCard"),
        (b"PK\x03\x04 and no more", "file", r"archive \(\.zip\)"),
        ("x" * 200_000, "phone_number", "too long"),
        ('phone,name\n3135550001,"open\n', "file", "line 2: a quotation mark is opened and never"),
        ("phone,tags\n" + "".join(f"3135550001,a{n};b{n}\n" for n in range(600)), "tags", "more than 1000 tags"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_what_it_is_and_what_to_do(raw: str | bytes, field: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason) as failed:
        read(raw)
    assert failed.value.field == field


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"xl/workbook.bin": ""}, r"binary Excel workbook \(\.xlsb\)"),
        ({"Index/Document.iwa": ""}, r"\(\.numbers\)"),
        ({"word/document.xml": ""}, r"Word document"),
        ({"people.csv": "phone\n3135550001\n"}, r"archive \(\.zip\)"),
    ],
)
def test_an_archive_that_is_not_read_is_named_as_what_it_is(members: dict[str, str], what: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UnreadableFile, match=what):
        read(file.getvalue())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x" * 50_000_000, "line 2: it has more than 1,000,000 characters"),
        ('"' + "x\n" * 100_000 + '"', "line 2: a cell has more than 131,072 characters"),
        ('"a"b', "line 2: something stands behind a closing quotation mark"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_and_takes_no_memory(line: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        read(f"phone,name\n3135550001,{line}\n")


def test_a_file_of_empty_lines_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_EMPTY", 1000)
    for head in ("", "phone\n"):
        with pytest.raises(UnreadableFile, match="more than 1,000 empty lines"):
            read(head + "\n" * 1002)
    assert numbers("\n" * 500 + "phone\n" + ",,\n" * 400 + "3135550001\n") == ["0001"]


def test_a_file_has_a_bounded_number_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST", 3)
    assert len(numbers("phone\n" + "3135550001\n" * 3)) == 1
    with pytest.raises(UnreadableFile, match="more than 3 lines"):
        read("phone\n" + "3135550001\n" * 4)


def test_the_rejected_lines_that_are_told_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LISTED", 2)
    _, summary = read("phone\n" + "x\n" * 5)
    assert (len(summary.rejected), summary.rejected_count) == (2, 5)


def test_a_number_that_comes_twice_is_one_person() -> None:
    people, _ = read("phone,name,tags\n3135550001,Ana,a;b\n+13135550001,,b;c\n313-555-0001,Ana N,\n3135550001,,\n")
    assert people == [Person("+13135550001", "Ana N", ("a", "b", "c"))]


def test_people_come_in_the_order_of_their_numbers() -> None:
    assert numbers("phone\n" + "".join(f"313555{n:04}\n" for n in range(250, 0, -1))) == [
        f"{n:04}" for n in range(1, 251)
    ]


def test_tags_may_be_separated_by_commas_too() -> None:
    assert read('phone;tags\n3135550001;"a, b;c"\n')[0][0].tags == ("a", "b", "c")


def test_every_column_that_is_passed_over_is_named() -> None:
    _, summary = read("phone,name,Neighborhood,,Notes \x1b[2J,email_opt_out\n3135550001,Ana,x,y,z,true\n")
    assert summary.passed_over == ["Neighborhood", "column 4", "Notes [2J", "email_opt_out"]


def test_numbers_of_other_countries_are_refused_by_name() -> None:
    assert reasons("phone\n+31612345678\n") == [(2, "a number of another country: Netherlands (NL); allowed: US")]
    assert len(read("phone\n+31612345678\n", "US", "NL")[0]) == 1
