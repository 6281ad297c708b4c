"""Columns that become free attributes, and those of the time zone and the language."""

import io
import tempfile
from pathlib import Path

import pytest

from libs.common.domain.attributes import Kind, Value
from services.api.contacts.files import attribute_columns, reading, spool
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import Person, Summary, UnreadableFile


def read(raw: str, *roles: Role, attributes: bool = True) -> tuple[list[Person], Summary]:
    """Return the people in a file whose other columns become attributes."""
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / "people"
        summary = reading.read(io.BytesIO(raw.encode()), aside, ["US"], roles, attributes=attributes)
        return spool.read(aside, "", 100), summary


def values(column: str) -> list[Value | None]:
    """Return what becomes of the cells of a column."""
    cells = column.split(",")
    people, summary = read("phone,x\n" + "".join(f"313555000{n},{cell}\n" for n, cell in enumerate(cells)))
    assert summary.rejected == []
    return [attribute_columns.typed(each.attributes, summary.attributes).get("x") for each in people]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ("1,2.5,,-3", [1, 2.5, None, -3]),
        ("48226,02139", ["48226", "02139"]),
        ("2026-01-02,,1999-12-31", ["2026-01-02", None, "1999-12-31"]),
        ("yes,No,TRUE,n", [True, False, True, False]),
        ("Sí,no", [True, False]),
        ("1,x", ["1", "x"]),
        ("2026-01-02,soon", ["2026-01-02", "soon"]),
        ("yes,perhaps", ["yes", "perhaps"]),
        ("1,0", [1, 0]),
        ("12/31/2026", ["12/31/2026"]),
        ("9999999999999999", ["9999999999999999"]),
        ("=CMD|' /C calc'!A0", ["=CMD|' /C calc'!A0"]),
    ],
)
def test_a_column_is_of_one_kind_by_all_of_its_values(column: str, wanted: list[Value | None]) -> None:
    found = values(column)
    assert found == wanted
    assert [type(each) for each in found] == [type(each) for each in wanted]


def test_other_columns_become_attributes_only_if_somebody_asks_for_it() -> None:
    raw = "phone,Zip code,Email opt in,Opted out\n3135550001,48226,yes,no\n"
    people, summary = read(raw)
    assert people[0].attributes == {"zip_code": "48226", "email_opt_in": "yes"}
    assert (summary.passed_over, summary.attributes["zip_code"]) == ([], Kind.NUMBER)
    people, summary = read(raw, attributes=False)
    assert (people[0].attributes, summary.passed_over) == ({}, ["Zip code", "Email opt in"])


def test_somebody_says_column_by_column_what_becomes_an_attribute() -> None:
    people, summary = read("Handy,Ward,Notes\n3135550001,5,x\n", Role.NUMBER, Role.ATTRIBUTE, Role.NOTHING)
    assert (people[0].attributes, summary.passed_over) == ({"ward": "5"}, ["Notes"])


def test_a_plain_no_counts_in_an_attribute_too() -> None:
    assert read("phone,Notes\n3135550001,Do not text\n")[0][0].opted_out


@pytest.mark.parametrize("zone", ["Time zone", "timezone", "Zona horaria"])
@pytest.mark.parametrize("language", ["Language", "Idioma", "Langue"])
def test_time_zone_and_language_are_read_in_any_case(zone: str, language: str) -> None:
    raw = f"phone,{zone},{language}\n3135550001,America/Detroit,PT-br\n3135550002,,\n3135550003,Mars,\n3135550004,,xx\n"
    people, summary = read(raw, attributes=False)
    assert [(each.time_zone, each.language) for each in people] == [("America/Detroit", "pt-BR"), ("", "")]
    assert [(each.line, each.reason) for each in summary.rejected] == [
        (4, f'what is under "{zone}": is no time zone such as America/Detroit'),
        (5, f'what is under "{language}": is no language such as en, es or pt-BR'),
    ]


def test_of_a_number_that_comes_twice_the_last_value_counts() -> None:
    raw = "phone,Ward,Zone\n3135550001,1,a\n3135550001,2,\n"
    assert read(raw)[0][0].attributes == {"ward": "2", "zone": "a"}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Zip code", "zip_code"), (" Ward & Precinct ", "ward_precinct"), ("Año", "ano"), ("", "column_3"),
        ("年齢", "column_3"), ("x" * 50, "x" * 40),
    ],
)  # fmt: skip
def test_an_attribute_is_called_as_its_column_is(heading: str, name: str) -> None:
    assert attribute_columns.name_of(heading, 2) == name


def test_columns_that_cannot_be_attributes_are_told() -> None:
    with pytest.raises(UnreadableFile, match='more than one column would be the attribute "ward"'):
        read("phone,Ward 年,Ward\n")
    with pytest.raises(UnreadableFile, match="name is a field of its own"):
        read("Handy,name\n3135550001,x\n", Role.NUMBER, Role.ATTRIBUTE)
    with pytest.raises(UnreadableFile, match="has more than 50 columns"):
        read("phone," + ",".join(f"a{n}" for n in range(51)) + "\n")
    assert read(f"phone,x\n3135550001,{'x' * 1001}\n")[1].rejected[0].reason.startswith('what is under "x": a text')
