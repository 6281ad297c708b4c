"""The user that a demo makes for whoever looks at the desk."""

import asyncio

import httpx

from libs.console import demo
from libs.console.local_stack import Running
from tests.integration.api import support


async def test_the_demos_user_is_an_admin_who_chooses_a_password_behind_the_link(api: httpx.AsyncClient) -> None:
    url = str(api.base_url).rstrip("/")
    running = Running(
        api_url=url, api_key=support.KEY, database_url="", amqp_url="", simulator_url=None, logs="", settings={}
    )
    link = await asyncio.to_thread(demo.invite, running)
    page = await api.get(httpx.URL(link).path)
    assert (page.status_code, demo.VISITOR["email"] in page.text) == (200, True)
    [user] = (await api.get("/users")).json()
    assert (user["email"], user["role"]) == (demo.VISITOR["email"], "admin")
