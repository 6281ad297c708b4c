"""Which carrier the settings make."""

import base64
from typing import Literal

import pytest
from pydantic import SecretStr

from libs.common import carriers
from libs.common.carriers.missive import Missive
from libs.common.carriers.twilio import Twilio
from libs.common.settings import CarrierSettings
from tests.support.carrier_samples import SID, send
from tests.support.loopback import Loopback, answer

NOWHERE = "http://127.0.0.1:9"


def settings(carrier: Literal["missive", "twilio"], url: str = NOWHERE) -> CarrierSettings:
    return CarrierSettings(
        database_url=SecretStr("postgresql://localhost/broadsheet"),
        amqp_url=SecretStr("amqp://localhost/"),
        from_number="+13135550100",
        carrier=carrier,
        missive_url=url,
        missive_token=SecretStr("secret"),
        twilio_url=url,
        twilio_account_sid=SID,
        twilio_auth_token=SecretStr("secret"),
        public_url="https://us.example",
    )


@pytest.mark.parametrize(("name", "cls"), [("missive", Missive), ("twilio", Twilio)])
async def test_the_carrier_is_the_one_that_the_settings_name(
    name: Literal["missive", "twilio"], cls: type[Missive | Twilio]
) -> None:
    created = carriers.create(settings(name))
    for each in created:
        await each.aclose()
    assert [type(each) for each in created if each.name == name] == [cls]


@pytest.mark.parametrize("name", ["missive", "twilio"])
async def test_a_carrier_knows_its_name(name: Literal["missive", "twilio"]) -> None:
    created = {each.name: each for each in carriers.create(settings(name))}
    for each in created.values():
        await each.aclose()
    assert name in created


@pytest.mark.parametrize(("token", "names"), [("secret", {"twilio", "missive"}), ("", {"twilio"})])
async def test_messages_may_go_through_missive_beside_twilio_where_it_has_its_keys(token: str, names: set[str]) -> None:
    created = carriers.create(settings("twilio").model_copy(update={"missive_token": SecretStr(token)}))
    for each in created:
        await each.aclose()
    assert {each.name for each in created} == names


async def test_an_api_key_is_shown_in_place_of_the_auth_token() -> None:
    keyed = settings("twilio").model_copy(
        update={"twilio_api_key": "SK1", "twilio_api_key_secret": SecretStr("key-secret")}
    )
    for by_api_key, shown in ((True, b"SK1:key-secret"), (False, f"{SID}:secret".encode())):
        async with Loopback(answer(201, {"sid": "SM1"})) as server:
            there = keyed.model_copy(update={"twilio_url": server.url})
            await send(carriers.create_twilio(there, by_api_key=by_api_key))
        request = server.received[0]
        assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == shown
        assert f"/Accounts/{SID}/" in request.target


async def test_twilio_reports_to_the_address_that_it_can_reach() -> None:
    async with Loopback(answer(201, {"sid": "SM1"})) as server:
        await send(carriers.create_twilio(settings("twilio", server.url)))
    assert b"https%3A%2F%2Fus.example%2Fwebhooks%2Ftwilio%2Fstatus" in server.received[0].body
