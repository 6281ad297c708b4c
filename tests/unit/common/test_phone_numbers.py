import pytest

from libs.common.settings import e164


@pytest.mark.parametrize("given", ["(313) 555-0001", "313.555.0001", "+1 313 555 0001", "1-313-555-0001"])
def test_a_number_is_one_however_it_is_written(given: str) -> None:
    assert e164(given) == "+13135550001"


@pytest.mark.parametrize(
    "given", ["", "x", "911", "555-0001", "+1 313 555", "+1 313 555 00011", "22000", "+999 1234567"]
)
def test_what_cannot_be_called_from_anywhere_is_no_number(given: str) -> None:
    with pytest.raises(ValueError, match="not a phone number"):
        e164(given)
