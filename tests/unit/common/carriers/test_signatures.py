"""Whether a webhook is the carrier's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from libs.common.carriers.signatures import missive_signature, missive_signature_ok, twilio_signature_ok

BODY = '{"text": "é"}'.encode()
URL = "https://us.example/webhooks/twilio/sms?x=1"
FORM = [("From", "+13135550111"), ("Body", "STOP"), ("Media", "b"), ("Media", "a")]


def twilio_signature(url: str = URL, form: list[tuple[str, str]] = FORM, token: str = "token") -> str:
    # As in https://www.twilio.com/docs/usage/security: names in order, each with its values in order.
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return str(RequestValidator(token).compute_signature(signed, {}))  # type: ignore[no-untyped-call]


def test_missives_signature_is_the_hmac_of_the_raw_body() -> None:
    # echo -n '{"a":1}' | openssl dgst -sha256 -hmac secret
    expected = "sha256=aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494"
    assert missive_signature("secret", b'{"a":1}') == expected


@pytest.mark.parametrize("prefix", ["sha256=", "", " SHA256="])
def test_missives_signature_fits_with_its_prefix_or_without(prefix: str) -> None:
    header = prefix + missive_signature("secret", BODY).removeprefix("sha256=")
    assert missive_signature_ok("secret", BODY, header)


@pytest.mark.parametrize("header", [None, "", "sha256=", "sha1=abc", "é", "\udcff", "sha256=" + "0" * 64])
def test_a_header_that_is_missing_or_malformed_does_not_fit_missives_body(header: str | None) -> None:
    assert not missive_signature_ok("secret", BODY, header)


def test_another_body_does_not_fit_missives_signature() -> None:
    assert not missive_signature_ok("secret", BODY + b" ", missive_signature("secret", BODY))


def test_without_a_secret_nothing_of_missives_fits() -> None:
    assert not missive_signature_ok("", BODY, missive_signature("", BODY))


@given(header=st.text(), body=st.binary())
def test_no_header_breaks_the_check_of_missives_signature(header: str, body: bytes) -> None:
    assert not missive_signature_ok("secret", body, header)


def test_twilios_signature_fits_the_url_and_the_form() -> None:
    assert twilio_signature_ok("token", URL, FORM, twilio_signature())


def test_the_order_of_the_form_does_not_matter() -> None:
    assert twilio_signature_ok("token", URL, FORM[::-1], twilio_signature())


@pytest.mark.parametrize("header", [None, "", "abc", "é", "\udcff"])
def test_a_header_that_is_missing_or_malformed_does_not_fit_twilios_request(header: str | None) -> None:
    assert not twilio_signature_ok("token", URL, FORM, header)


def test_another_url_does_not_fit_twilios_signature() -> None:
    assert not twilio_signature_ok("token", URL + "2", FORM, twilio_signature())


def test_a_field_more_does_not_fit_twilios_signature() -> None:
    assert not twilio_signature_ok("token", URL, [*FORM, ("To", "x")], twilio_signature())


def test_without_a_token_nothing_of_twilios_fits() -> None:
    assert not twilio_signature_ok("", URL, FORM, twilio_signature(token=""))


@pytest.mark.parametrize("url", ["https://us.example:port/", "https://[us.example/", ""])
def test_a_url_that_is_none_does_not_fit(url: str) -> None:
    assert not twilio_signature_ok("token", url, FORM, twilio_signature())


@given(url=st.text(), params=st.lists(st.tuples(st.text(), st.text())), header=st.text())
def test_nothing_breaks_the_check_of_twilios_signature(url: str, params: list[tuple[str, str]], header: str) -> None:
    assert not twilio_signature_ok("token", url, params, header)
