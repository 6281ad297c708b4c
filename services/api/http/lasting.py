"""Requests that last, such as a stream of events: whoever was let in may be shut out meanwhile."""

import time
from dataclasses import dataclass, field
from typing import Any

from litestar import Request

from libs.common import database
from services.api.accounts import api_keys, sessions
from services.api.context import Context
from services.api.http.auth import Caller

EVERY = 10.0  # seconds after which it is asked again


@dataclass(slots=True)
class Leave:
    """Whether a request may go on: its session is not over, its user not disabled, its key not taken back."""

    request: Request[Any, Any, Any]
    _asked_at: float = field(default_factory=time.monotonic)

    async def holds(self) -> bool:
        """Ask, if that was long ago. While the database is away nobody is shut out: nothing is told then either."""
        if time.monotonic() - self._asked_at < EVERY:
            return True
        try:
            is_let_in = await self._ask()
        except database.TRANSIENT:
            return True
        self._asked_at = time.monotonic()
        return is_let_in

    async def _ask(self) -> bool:
        api: Context = self.request.app.state.context
        caller: Caller = self.request.scope["auth"]
        here = sessions.current(self.request)
        async with database.transaction(api.engine) as connection:
            if caller.key_id is not None:
                return await api_keys.opens(connection, caller.key_id)
            return here is None or await sessions.is_open(connection, here, api.clock())
