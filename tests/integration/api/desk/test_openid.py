"""Signing in by OpenID Connect, against a provider that runs as a process of its own."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from tests.integration.api import support
from tests.integration.api.support import Api
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET
from tests.support.ports import free_port
from tests.support.processes import ROOT, until

EMAIL = "ana@example.org"
VERIFIED = {"email": EMAIL, "email_verified": True}


@dataclass(slots=True)
class Provider:
    """The provider's process."""

    url: str

    async def next(self, **person: Any) -> None:
        """Say who comes next."""
        async with httpx.AsyncClient() as client:
            (await client.put(f"{self.url}/person", json=person)).raise_for_status()


@pytest.fixture(scope="module")
def provider_process() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.support.openid_provider", str(port)], cwd=ROOT)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
async def provider(provider_process: str) -> Provider:
    async def answers() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.put(f"{provider_process}/person", json={})).is_success
            except httpx.TransportError:
                return False

    await until(answers, seconds=60)
    return Provider(provider_process)


def with_provider(api: Api, issuer: str, **fields: Any) -> Any:
    return api.settings.model_copy(
        update={
            "oidc_issuer": issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            **fields,
        }
    )


@pytest.fixture
async def desk(api: Api, provider: Provider) -> AsyncIterator[Api]:
    """An API whose users sign in at the provider. Ana is invited."""
    async with support.running(with_provider(api, provider.url)) as running:
        answer = await running.post("/users", {"email": EMAIL, "name": "Ana Diaz", "role": "editor"})
        assert answer.status_code == 201
        yield running


@pytest.fixture
async def browser(desk: Api) -> AsyncIterator[httpx.AsyncClient]:
    transport = desk.client._transport
    async with httpx.AsyncClient(transport=transport, base_url="https://texts.example.org") as client:
        yield client


async def at_provider(browser: httpx.AsyncClient, path: str = "/desk/sign-in/provider") -> str:
    """Begin to sign in, and return the address to which the provider sends the browser back."""
    begun = await browser.get(path)
    assert begun.status_code == 303, begun.text
    async with httpx.AsyncClient() as elsewhere:
        back = await elsewhere.get(begun.headers["location"])
    assert back.status_code in (302, 303, 307), back.text
    address = back.headers["location"]
    assert address.startswith("https://texts.example.org/desk/sign-in/provider/callback?")
    return str(address)


async def sign_in(browser: httpx.AsyncClient) -> httpx.Response:
    return await browser.get(await at_provider(browser))


async def is_signed_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/desk/broadcasts")).status_code == 200


async def test_who_was_invited_signs_in_by_the_verified_address(browser: httpx.AsyncClient, provider: Provider) -> None:
    await provider.next(email=EMAIL.upper(), email_verified=True)
    assert "/desk/sign-in/provider?then=/desk" in (await browser.get("/desk/sign-in")).text
    back = await browser.get(await at_provider(browser, "/desk/sign-in/provider?then=/desk/broadcasts"))
    assert (back.status_code, back.headers["location"]) == (303, "/desk/broadcasts")
    assert await is_signed_in(browser)


async def test_a_provider_that_tells_the_address_elsewhere_and_takes_the_secret_in_the_form_will_do(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    await provider.next(**VERIFIED, tells_by_userinfo=True, methods=["client_secret_post"])
    assert (await sign_in(browser)).status_code == 303


@pytest.mark.parametrize(
    "person",
    [
        {"email": EMAIL, "email_verified": False},
        {"email": EMAIL},
        {},
        {**VERIFIED, "claims": {"nonce": "another"}},
        {**VERIFIED, "claims": {"aud": "somebody else"}},
        {**VERIFIED, "claims": {"iss": "https://evil.example"}},
        {**VERIFIED, "claims": {"exp": 1}},
        {**VERIFIED, "forges": True},
        {**VERIFIED, "signs_not": True},
        {**VERIFIED, "refuses": True},
        {**VERIFIED, "tells_by_userinfo": True, "sub_of_userinfo": "somebody else"},
    ],
    ids=str,
)
async def test_what_does_not_prove_who_it_is_signs_nobody_in(
    browser: httpx.AsyncClient, provider: Provider, person: dict[str, Any]
) -> None:
    await provider.next(**person)
    answer = await sign_in(browser)
    assert answer.status_code == 422
    assert "did not confirm who you are" in answer.text
    assert not await is_signed_in(browser)


async def test_an_address_that_nobody_verified_counts_where_the_settings_say_so(
    api: Api, desk: Api, provider: Provider
) -> None:
    await provider.next(email=EMAIL)
    settings = with_provider(api, provider.url, oidc_trust_email=True)
    async with (
        support.running(settings) as trusting,
        httpx.AsyncClient(transport=trusting.client._transport, base_url="https://texts.example.org") as browser,
    ):
        assert (await sign_in(browser)).status_code == 303


async def test_who_was_not_invited_or_is_disabled_is_not_let_in(
    desk: Api, browser: httpx.AsyncClient, provider: Provider
) -> None:
    await provider.next(email="stranger@example.org", email_verified=True)
    answer = await sign_in(browser)
    assert (answer.status_code, "Nobody with this address was invited" in answer.text) == (422, True)
    await desk.patch("/users/1", {"disabled": True})
    await provider.next(**VERIFIED)
    assert (await sign_in(browser)).status_code == 422
    assert not await is_signed_in(browser)


async def test_an_answer_counts_once_in_the_browser_that_asked_and_with_its_state(
    desk: Api, browser: httpx.AsyncClient, provider: Provider
) -> None:
    await provider.next(**VERIFIED)
    address = await at_provider(browser)
    async with httpx.AsyncClient(transport=desk.client._transport, base_url="https://texts.example.org") as other:
        assert (await other.get(address)).status_code == 422  # forged sign-in: the victim's browser asked for nothing
    state = parse_qs(urlsplit(address).query)["state"][0]
    assert (await browser.get(address.replace(state, "another"))).status_code == 422
    assert (await browser.get(address)).status_code == 422  # the one that was kept is used up
    address = await at_provider(browser)
    assert (await browser.get(address)).status_code == 303
    assert (await browser.get(address)).status_code == 422


async def test_an_answer_that_comes_too_late_counts_no_more(
    desk: Api, browser: httpx.AsyncClient, provider: Provider
) -> None:
    await provider.next(**VERIFIED)
    address = await at_provider(browser)
    desk.clock.forward(minutes=15)
    answer = await browser.get(address)
    assert (answer.status_code, "That took too long" in answer.text) == (422, True)


async def test_the_providers_document_and_keys_are_kept_and_new_keys_are_fetched(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    async with httpx.AsyncClient() as client:
        await provider.next(**VERIFIED)
        before = (await client.get(f"{provider.url}/counted")).json()
        for _ in range(2):
            assert (await sign_in(browser)).status_code == 303
        after = (await client.get(f"{provider.url}/counted")).json()
        assert {name: after[name] - before[name] for name in after} == {"documents": 1, "keys": 1}
        await client.post(f"{provider.url}/new-key")
        assert (await sign_in(browser)).status_code == 303


async def test_a_document_of_another_issuer_is_not_believed(browser: httpx.AsyncClient, provider: Provider) -> None:
    await provider.next(issuer_of_the_document="https://evil.example")
    answer = await browser.get("/desk/sign-in/provider")
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)


async def test_a_provider_that_is_away_is_said_so_and_a_password_still_opens(api: Api) -> None:
    settings = with_provider(api, f"http://127.0.0.1:{free_port()}")
    async with (
        support.running(settings) as lonely,
        httpx.AsyncClient(transport=lonely.client._transport, base_url="https://texts.example.org") as browser,
    ):
        answer = await browser.get("/desk/sign-in/provider")
        assert (answer.status_code, "does not answer" in answer.text) == (503, True)
        assert 'name="password"' in answer.text


async def test_without_a_provider_there_is_no_way_to_one(api: Api) -> None:
    async with httpx.AsyncClient(transport=api.client._transport, base_url="https://texts.example.org") as browser:
        assert "provider" not in (await browser.get("/desk/sign-in")).text
        for path in ("/desk/sign-in/provider", "/desk/sign-in/provider/callback?code=1&state=2"):
            assert (await browser.get(path)).status_code == 404
