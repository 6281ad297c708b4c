"""What the carriers report to the application: signed, tried again when it is not taken.

Missive signs the raw body: `X-Hook-Signature: sha256=<HMAC-SHA256 under the rule's secret, hexadecimal>`
(https://missiveapp.com/docs/developers/webhooks). Twilio signs the URL and the form's fields under the account's token:
`X-Twilio-Signature` (https://www.twilio.com/docs/usage/security#validating-requests), here by Twilio's own code.
Deliveries are tasks of their own: two of them may overtake each other, as they do in life.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
from twilio.request_validator import RequestValidator

from libs.simulator.clock import Clock
from libs.simulator.config import Config
from libs.simulator.faults import WEBHOOK_KINDS, Faults

CONNECTIONS = 50


def missive_signature(secret: str, body: bytes) -> str:
    """Sign a body as Missive does."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def twilio_signature(token: str, url: str, form: dict[str, str]) -> str:
    """Sign a form as Twilio does."""
    return str(RequestValidator(token).compute_signature(url, form))  # type: ignore[no-untyped-call]


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One webhook: where it went and what came of it."""

    kind: str  # missive, sms or status
    url: str
    sid: str | None
    at: float
    attempts: int = 0
    #: Of the last answer; None without one.
    status: int | None = None
    #: When it was taken or given up; None while it is tried.
    done_at: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the application said 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """Delivers webhooks in the background."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: list[Delivery] = []

    async def open(self) -> None:
        """Get ready; belongs to the running loop."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=2)
        self._client = httpx.AsyncClient(limits=limits, trust_env=False)

    async def close(self) -> None:
        """Drop what is under way."""
        await self.forget()
        if self._client is not None:
            await self._client.aclose()

    async def forget(self) -> None:
        """Drop what is under way, and its record."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.deliveries.clear()

    def report(self) -> list[dict[str, Any]]:
        """Return all deliveries, in order."""
        return [asdict(delivery) for delivery in self.deliveries]

    def post_missive(
        self, config: Config, faults: Faults, payload: Any, *, sid: str | None, taken: Callable[[], None]
    ) -> None:
        """Deliver a JSON object to Missive's rule."""
        body = msgspec.json.encode(payload)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Missive-Simulator",
            "X-Hook-Signature": missive_signature(config.missive_webhook_secret, body),
        }
        delivery = Delivery(kind="missive", url=config.missive_webhook_url, sid=sid, at=self._clock.now())
        self._start(config, faults, delivery, headers, body, taken, carrier="missive")

    def post_twilio(
        self,
        config: Config,
        faults: Faults,
        *,
        kind: str,
        url: str,
        form: dict[str, str],
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        """Deliver a form to a URL given to Twilio."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": twilio_signature(config.twilio_auth_token, url, form),
        }
        delivery = Delivery(kind=kind, url=url, sid=form["MessageSid"], at=self._clock.now())
        self._start(config, faults, delivery, headers, urlencode(form).encode(), taken, carrier="twilio")

    def _start(
        self,
        config: Config,
        faults: Faults,
        delivery: Delivery,
        headers: dict[str, str],
        body: bytes,
        taken: Callable[[], None],
        *,
        carrier: str,
    ) -> None:
        fault = faults.find("webhook", WEBHOOK_KINDS, carrier=carrier)
        if fault is not None and fault.kind == "drop":
            return
        delay = fault.seconds if fault is not None and fault.kind == "slow" else 0.0
        times = 2 if fault is not None and fault.kind == "repeat" else 1
        for _ in range(times):
            copy = Delivery(kind=delivery.kind, url=delivery.url, sid=delivery.sid, at=delivery.at)
            self.deliveries.append(copy)
            task = asyncio.get_running_loop().create_task(self._deliver(config, copy, headers, body, delay, taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self,
        config: Config,
        delivery: Delivery,
        headers: dict[str, str],
        body: bytes,
        delay: float,
        taken: Callable[[], None],
    ) -> None:
        assert self._client is not None
        await asyncio.sleep(delay)
        while delivery.attempts < config.webhook_attempts:
            if delivery.attempts:
                await asyncio.sleep(config.webhook_backoff * 2 ** (delivery.attempts - 1))
            delivery.attempts += 1
            try:
                response = await self._client.post(
                    delivery.url, content=body, headers=headers, timeout=config.webhook_timeout
                )
            except (httpx.HTTPError, httpx.InvalidURL):
                delivery.status = None
                continue
            delivery.status = response.status_code
            if delivery.is_taken:
                taken()
                break
        delivery.done_at = self._clock.now()
