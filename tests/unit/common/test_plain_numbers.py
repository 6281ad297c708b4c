"""The fast reading of plain numbers against `phonenumbers` itself."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common import phone_numbers, plain_numbers

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
#: Those that are likely together, with the oddest plans among them.
TOGETHER = (
    ["US"],
    ["US", "CA"],
    ["CA", "US"],
    ["DO", "US"],
    ["GB", "IE"],
    ["RU", "KZ"],
    ["MX"],
    ["AR"],
    ["BR"],
    ["IT"],
)


def slow(text: str, regions: list[str]) -> str | None:
    """Return what is said without the fast way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_numbers, "read", lambda *_: None)
        try:
            return phone_numbers.textable(text, regions)
        except ValueError:
            return None


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Draw a number of a region with some digits changed, as people write one, and regions that are allowed."""
    regions = draw(st.one_of(st.sampled_from(TOGETHER), st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3)))
    region = draw(st.sampled_from(regions))
    kind = draw(st.integers(0, 10))
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert example is not None
    number = phonenumbers.national_significant_number(example)
    keep = draw(st.integers(0, len(number)))
    rest = draw(st.text("0123456789", min_size=max(0, len(number) - keep - 1), max_size=len(number) - keep + 1))
    number = number[:keep] + rest
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    code, prefix = str(example.country_code), metadata.national_prefix or ""
    forms = (
        f"+{code}{number}", number, prefix + number, code + number, f"+{code}{prefix}{number}", f"00{code}{number}",
        f"011{code}{number}", f"+{code} {number[:3]}-{number[3:]}", f"({number[:3]}) {number[3:]}", f"+{number}",
        f"{number[:3]}.{number[3:6]}.{number[6:]}", f"{prefix}-{number[:3]}/{number[3:]}",
    )  # fmt: skip
    return draw(st.sampled_from(forms)), list(dict.fromkeys(regions))


@settings(max_examples=400)
@given(written())
def test_what_is_read_fast_is_what_phonenumbers_reads(case: tuple[str, list[str]]) -> None:
    text, regions = case
    fast = plain_numbers.read(text, regions)
    assert fast is None or fast == slow(text, regions)


@given(st.from_regex(r"[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
def test_every_number_of_the_united_states_that_is_taken_is_read_fast(number: str) -> None:
    for form in (number, f"1{number}", f"+1{number}", f"+1 ({number[:3]}) {number[3:6]}-{number[6:]}",
                 f"1-{number[:3]}-{number[3:]}", f"{number[:3]}.{number[3:6]}.{number[6:]}"):  # fmt: skip
        wanted = slow(form, ["US"])
        assert phone_numbers.textable(form, ["US"]) == wanted if wanted else plain_numbers.read(form, ["US"]) is None
        if wanted and not phone_numbers.E164.match(form):
            regions = phone_numbers._with_territories(("US",))
            assert plain_numbers.read(form, regions) == wanted


@pytest.mark.parametrize(
    ("text", "regions", "number"),
    [
        ("06 12345678", ["NL"], "+31612345678"), ("07400 123456", ["GB"], "+447400123456"),
        ("0151 23456789", ["DE"], "+4915123456789"), ("612 345 678", ["ES"], "+34612345678"),
        ("+31612345678", ["US", "NL"], "+31612345678"), ("604-250-0100", ["US", "CA"], "+16042500100"),
    ],
)  # fmt: skip
def test_other_countries_are_read_fast_too(text: str, regions: list[str], number: str) -> None:
    assert plain_numbers.read(text, regions) == number


@pytest.mark.parametrize(
    "text", ["", "x", "313-555-0100x", "٣١٣٥٥٥٠٠٠١", "313555.01", "+9005550100", "900 555 0100", "3135550100\n", "+"]
)
def test_of_anything_else_nothing_is_said(text: str) -> None:
    assert plain_numbers.read(text, ["US"]) is None
