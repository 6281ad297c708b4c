"""What may be known of a person."""

import pytest

from libs.common.domain import attributes
from libs.common.domain.attributes import Kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Detroit", Kind.TEXT),
        ("2026-11-27", Kind.DATE),
        ("2026-11-27 ", Kind.TEXT),
        ("2026-11-27T10:00", Kind.TEXT),
        (3, Kind.NUMBER),
        (0.5, Kind.NUMBER),
        (True, Kind.YES_NO),
    ],
)
def test_a_value_is_a_text_a_number_a_date_or_yes_no(value: attributes.Value, kind: Kind) -> None:
    assert attributes.kind_of(value) is kind


@pytest.mark.parametrize(
    ("given", "kept"),
    [("  cafe\u0301 ", "caf\u00e9"), (5.0, 5), (-0.0, 0), (2.5, 2.5), (10**15, 10**15), ("two\nlines", "two\nlines")],
)
def test_a_value_is_kept_in_one_form(given: attributes.Value, kept: attributes.Value) -> None:
    found = attributes.checked_value(given)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(
    "value",
    ["", "  ", "x" * 1001, "a\0b", "\ud800", "2026-02-30", float("nan"), float("inf"), 10**15 + 1, -(10**400)],
)
def test_a_value_that_cannot_be_kept_is_refused(value: attributes.Value) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        attributes.checked_value(value)


@pytest.mark.parametrize(
    "name", ["", "x" * 41, "City", "first name", "ort\n", "stra\u00dfe", "name", "tags", "language"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="attribute"):
        attributes.checked_name(name)


def test_nobody_has_more_than_fifty() -> None:
    full = {f"a{n}": n for n in range(50)}
    assert attributes.checked(full) == full
    with pytest.raises(ValueError, match="more than 50"):
        attributes.checked({**full, "one_more": 1})
    with pytest.raises(ValueError, match="more than 50"):
        attributes.changed(full, {"one_more": 1})
    assert attributes.changed(full, {"one_more": 1, "a0": None})["one_more"] == 1


def test_null_removes_one_and_leaves_the_others() -> None:
    assert attributes.changed({"a": 1, "b": 2}, {"a": None, "c": "x", "d": None}) == {"b": 2, "c": "x"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("en", "en"),
        ("ES", "es"),
        ("es-mx", "es-MX"),
        ("pt_br", "pt-BR"),
        ("zh-hant", "zh-Hant"),
        ("es-419", "es-419"),
        ("ca-valencia", "ca-valencia"),
    ],
)
def test_a_language_is_written_as_bcp_47_does(given: str, kept: str) -> None:
    assert attributes.checked_language(given) == kept


@pytest.mark.parametrize("given", ["SP", "spanish", "", "e", "en.UTF-8", "en-XX1", "en-US-", "en\n", "x" * 36])
def test_what_is_no_language_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="no language"):
        attributes.checked_language(given)


@pytest.mark.parametrize("given", ["", "Detroit", "../etc/passwd", "EST5", "america/detroit", "x" * 100, "\0"])
def test_what_is_no_time_zone_is_refused(given: str) -> None:
    assert attributes.checked_zone("America/Detroit") == "America/Detroit"
    with pytest.raises(ValueError, match="no time zone"):
        attributes.checked_zone(given)
