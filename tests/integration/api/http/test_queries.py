"""A parameter that is not read is refused: a filter that is misspelt must not be no filter."""

import re

import pytest
from litestar.routes import HTTPRoute

from services.api.app import create_app
from tests.integration.api import support
from tests.integration.api.support import Api

APP = create_app(support.settings("postgresql:///nowhere"))
ROUTES = sorted(
    (method, re.sub(r"\{[^}]*\}", "1", route.path))
    for route in APP.routes
    if isinstance(route, HTTPRoute)
    for method in route.methods - {"OPTIONS", "HEAD"}
    # Webhooks are called as the carrier was told to; pages ask for a session first, and are not the API.
    if not route.path.startswith(("/webhooks", "/desk"))
)


async def test_contacts_by_a_parameter_that_is_not_there_are_not_everybody(api: Api) -> None:
    await api.contact("a", name="Ana")
    answer = await api.get("/contacts", params={"name": "Ana"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]
    assert "phone_number, tag" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_passes_over_a_parameter(api: Api, method: str, path: str) -> None:
    before = await api.counts()
    answer = await api.client.request(method, path, params={"no_such_parameter": "1"})
    assert answer.status_code == 422, path
    assert answer.json()["type"].endswith("invalid-field")
    assert await api.counts() == before


async def test_a_parameter_that_is_given_twice_is_refused(api: Api) -> None:
    answer = await api.get("/contacts?limit=1&limit=2")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")


async def test_a_webhook_may_be_called_with_whatever_its_address_was_given(api: Api) -> None:
    number = "+13135550001"
    form = {"MessageSid": "SM" + "0" * 32, "From": number, "To": support.FROM, "Body": "STOP", "NumMedia": "0"}
    assert (await api.twilio("/webhooks/twilio/sms?account=1&account=2", form)).status_code == 200
    assert await api.value("SELECT count(*) FROM opt_outs WHERE phone_number = %s", number) == 1


async def test_without_a_key_nobody_learns_what_there_is(api: Api) -> None:
    answer = await api.get("/contacts?name=x", headers={"Authorization": ""})
    assert answer.status_code == 401
