"""What the doctor says of the carriers: a token counts as accepted by Missive's own answer alone."""

import json
import time
from email.utils import formatdate

import pytest

from libs.console import carrier_checks
from libs.console.carrier_checks import unreachable
from tests.support import world
from tests.support.loopback import Behaviour, Loopback, answer, cut_after_reading

OURS = {"organizations": [{"id": "1", "name": "Us"}]}
ERROR = {"error": {"message": "Not found"}}
HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("given", "well", "words"),
    [
        (answer(200, OURS), True, "the token is accepted"),
        (answer(401, ERROR), False, "look at BROADSHEET_MISSIVE_TOKEN"),
        (answer(403, ERROR), False, "look at BROADSHEET_MISSIVE_TOKEN"),
        # A mistyped address: somebody else's server, a parked domain, a gateway.
        (answer(404, b"<h1>Not found</h1>", HTML), False, "not as Missive does"),
        (answer(404, ERROR), False, "not as Missive does"),
        (answer(200, b"<h1>Buy this domain</h1>", HTML), False, "not as Missive does"),
        (answer(200, json.dumps(OURS).encode(), HTML), False, "not as Missive does"),
        (answer(200, {}), False, "not as Missive does"),
        (answer(200, []), False, "not as Missive does"),
        (answer(401, b"<h1>Log in</h1>", HTML), False, "not as Missive does"),
        (answer(502, b"", HTML), False, "not as Missive does"),
        (cut_after_reading, False, "look at BROADSHEET_MISSIVE_URL"),
    ],
)
async def test_a_token_is_accepted_only_by_an_answer_that_missive_gives(
    given: Behaviour, well: bool, words: str
) -> None:
    async with Loopback(given) as carrier:
        found = await carrier_checks.missive(world.make_settings(missive_url=carrier.url))
        assert carrier.received[0].headers["authorization"] == "Bearer token"
    assert found[1] == well
    assert words in found[2]


@pytest.mark.parametrize(
    ("ahead", "well", "words"),
    [
        (0, True, "ours (± "),
        (-30, True, "behind ours"),
        (30, True, "ahead of ours"),
        (-90, False, "set this machine's by NTP"),
        (None, False, "do not tell its time"),
    ],
)
async def test_the_doctor_says_how_far_a_carriers_clock_is_from_ours(ahead: int | None, well: bool, words: str) -> None:
    """Fault 35: two seconds behind was enough for messages to go twice, and nothing showed it."""
    date = "unknown" if ahead is None else formatdate(time.time() + ahead, usegmt=True)
    log = answer(200, {"messages": []}, {"Date": date})
    async with Loopback(log) as twilio, Loopback(answer(200, OURS, {"Date": date})) as missive:
        settings = world.make_settings(twilio_url=twilio.url, missive_url=missive.url)
        for _, is_well, said in (await carrier_checks.twilio(settings), await carrier_checks.missive(settings)):
            assert (is_well, words in said) == (well, True), said


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000", "http://localhost:8000", "https://10.0.0.7", "https://192.168.1.2/x", "https://[::1]",
        "https://169.254.1.1", "https://100.64.0.1", "http://0.0.0.0", "https://api", "http://api:8000",
        "https://sms.local", "https://sms.internal.", "https://sms_desk.example.org", "https://a_b.org:8443",
        "https://u:p@sms.example.org", "https://sms.example.org?x=1", "https://sms.example.org:port", "https://",
        "https://sms.test",
    ],
)  # fmt: skip
def test_an_address_that_twilio_refuses_is_said_before_it_pauses_a_broadcast(url: str) -> None:
    assert unreachable(url)


@pytest.mark.parametrize("url", ["https://sms.example.org", "https://sms.example.org:8443/a", "https://8.8.8.8"])
def test_an_address_that_carriers_reach_is_said_to_be_one(url: str) -> None:
    assert unreachable(url) == ""


@pytest.mark.parametrize(
    ("carrier", "url", "well", "words"),
    [
        ("twilio", "http://127.0.0.1:8000", False, "21609, which pauses the broadcast"),
        ("twilio", "https://sms_desk.example.org", False, "underscore"),
        ("missive", "http://127.0.0.1:8000", False, "no reply and no STOP is heard"),
        ("missive", "http://sms.example.org", False, "unencrypted"),
        ("twilio", "https://sms.example.org", True, ""),
    ],
)
async def test_the_doctor_says_what_the_carriers_will_say_of_the_address(
    carrier: str, url: str, well: bool, words: str
) -> None:
    _, found, said = await carrier_checks.public_url(world.make_settings(carrier=carrier, public_url=url))
    assert found == well
    assert words in said


async def test_simulated_carriers_call_any_address() -> None:
    simulated = world.make_settings(missive_url="http://simulator:8090", twilio_url="http://simulator:8090")
    assert (await carrier_checks.public_url(simulated))[1]


@pytest.mark.parametrize(
    ("given", "well", "words"),
    [
        (answer(200, {"incoming_phone_numbers": [{"phone_number": world.FROM}]}), True, world.FROM),
        (answer(200, {"incoming_phone_numbers": []}), False, "not the Twilio account's"),
        (answer(200, {"incoming_phone_numbers": [{"phone_number": world.FROM + "1"}]}), False, "BROADSHEET_NUMBERS"),
        (answer(200, {}), False, "is not known"),
        (answer(401, {"code": 20003, "message": "Authenticate", "status": 401}), False, "is not known"),
    ],
)
async def test_a_number_is_ours_only_if_the_carrier_says_so(given: Behaviour, well: bool, words: str) -> None:
    async with Loopback(given) as carrier:
        _, found, said = await carrier_checks.numbers(world.make_settings(twilio_url=carrier.url))
        assert carrier.received[0].method == "GET"
        assert "/IncomingPhoneNumbers.json?PhoneNumber=%2B13135550100" in carrier.received[0].target
    assert found == well
    assert words in said


NOT_ACCEPTED = {"code": 20003, "message": "Authenticate", "status": 401}


@pytest.mark.parametrize(
    ("fields", "given", "well", "words"),
    [
        ({}, None, True, "by the auth token"),
        ({"twilio_auth_token": "", "carrier": "twilio"}, None, False, "API keys sign none"),
        ({"twilio_auth_token": ""}, None, True, "replies come by Missive"),
        ({}, answer(401, NOT_ACCEPTED), False, "whether BROADSHEET_TWILIO_AUTH_TOKEN is the account's"),
        ({}, answer(200, {"incoming_phone_numbers": []}), True, "is the account's"),
    ],
)
async def test_an_api_key_does_not_hide_that_nothing_checks_signatures(
    fields: dict[str, str], given: Behaviour | None, well: bool, words: str
) -> None:
    key = {} if words == "by the auth token" else {"twilio_api_key": "SK1", "twilio_api_key_secret": "hush"}
    async with Loopback(given or answer(500)) as carrier:
        settings = world.make_settings(twilio_url=carrier.url, **key, **fields)
        _, found, said = await carrier_checks.twilio_signatures(settings)
        assert len(carrier.received) == (given is not None)
    assert found == well
    assert words in said
