"""What an answer that is not the carrier's own makes of a message that was sent."""

import json

import pytest

from libs.common.carriers.outcomes import Unknown
from tests.support.carrier_samples import CARRIERS, CreateCarrier, send
from tests.support.loopback import Loopback, answer

HTML = b"<html><head><title>400 Bad Request</title></head><body><center>nginx</center></body></html>"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("create", "success"), CARRIERS.values(), ids=CARRIERS)
async def test_a_gateway_on_the_way_refuses_nobody_over_a_real_connection(
    create: CreateCarrier, success: object
) -> None:
    async with Loopback(answer(400, HTML, {"Content-Type": "text/html"})) as server:
        assert await send(create(server.url)) == Unknown(reason="gateway_400")


@pytest.mark.parametrize(("create", "success"), CARRIERS.values(), ids=CARRIERS)
async def test_a_success_that_breaks_off_is_unknown(create: CreateCarrier, success: object) -> None:
    half = json.dumps(success).encode()[:-4]
    async with Loopback(answer(201, half, JSON)) as server:
        assert await send(create(server.url)) == Unknown(reason="unreadable_answer")
