"""A browser in which somebody is signed in: it keeps cookies, and sends forms with their token."""

import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from psycopg.types.json import Jsonb

from libs.common.domain.roles import Role
from tests.integration.api.support import Api

TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@dataclass(slots=True)
class Browser:
    """A user's browser."""

    client: httpx.AsyncClient
    user_id: int

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.client.get(path, **kwargs)

    async def submit(self, path: str, page: str, **fields: Any) -> httpx.Response:
        """Send a form that a page has."""
        token = TOKEN.search((await self.get(page)).text)
        assert token is not None, f"{page} has no form"
        return await self.client.post(path, data={"_csrf_token": token[1], **fields})


@asynccontextmanager
async def signed_in(api: Api, role: Role = Role.EDITOR, name: str = "Ana Diaz") -> AsyncIterator[Browser]:
    """Open a browser in which a new user of a role is signed in."""
    user_id = int(
        await api.value(
            "INSERT INTO users (email, name, role) VALUES (%s, %s, %s) RETURNING id",
            f"{secrets.token_hex(4)}@example.org", name, role,
        )
    )  # fmt: skip
    token = secrets.token_urlsafe(32)
    await api.query(
        "INSERT INTO sessions (id, data, created_at, seen_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
        hashlib.sha256(token.encode()).digest(), Jsonb({"user_id": user_id, "agent": "a test"}),
        api.clock.now, api.clock.now, api.clock.now + timedelta(days=1),
    )  # fmt: skip
    transport = api.client._transport
    cookies = {"__Host-session" if api.settings.is_public else "session": token}
    async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.org", cookies=cookies) as client:
        yield Browser(client, user_id)
