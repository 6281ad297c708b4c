"""The user that a demo makes for whoever looks at the desk."""

import asyncio
import re

import httpx

from libs.console import demo
from libs.console.local_stack import Running
from tests.integration.api import support


def running_at(url: str) -> Running:
    return Running(
        api_url=url, api_key=support.KEY, database_url="", amqp_url="", simulator_url=None, logs="", settings={}
    )


async def test_a_demo_that_stays_tells_a_password_with_which_one_is_signed_in_as_an_admin(
    api: httpx.AsyncClient,
) -> None:
    url = str(api.base_url).rstrip("/")
    password = await asyncio.to_thread(demo.welcome, running_at(url))
    [user] = (await api.get("/users")).json()
    assert (user["email"], user["role"]) == (demo.VISITOR["email"], "admin")
    for typed, status in (("another password", 422), (password, 303)):
        page = await api.get("/desk/sign-in")
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        cookies = "; ".join(map("=".join, page.cookies.items()))
        form = {"_csrf_token": token[1], "email": user["email"], "password": typed}
        answer = await api.post("/desk/sign-in", data=form, headers={"Cookie": cookies})
        assert answer.status_code == status


async def test_the_demos_user_is_an_admin_who_chooses_a_password_behind_the_link(api: httpx.AsyncClient) -> None:
    url = str(api.base_url).rstrip("/")
    link = await asyncio.to_thread(demo.invite, running_at(url))
    page = await api.get(httpx.URL(link).path)
    assert (page.status_code, demo.VISITOR["email"] in page.text) == (200, True)
    [user] = (await api.get("/users")).json()
    assert (user["email"], user["role"]) == (demo.VISITOR["email"], "admin")
