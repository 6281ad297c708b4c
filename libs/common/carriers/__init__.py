"""The carriers: who texts go through, and what is known of them afterwards.

`outcomes` is what came of a request, `codes` what an error means, `statuses` how far a text got, `bodies` how texts
are compared, `limits` what the providers allow, `signatures` whether a webhook is theirs. `missive` and `twilio` are
the two clients; both reach the network through `wire`, which is where "at most once" is decided.
"""

from collections.abc import Callable
from typing import Protocol

from libs.common.carriers.missive import Missive
from libs.common.carriers.outcomes import Outcome
from libs.common.carriers.twilio import Twilio
from libs.common.settings import CarrierSettings

STATUS_CALLBACK_PATH = "/webhooks/twilio/status"


class Carrier(Protocol):
    """Who texts go through."""

    @property
    def name(self) -> str:
        """`missive` or `twilio`."""
        ...

    async def send(self, *, to: str, from_number: str, body: str, may_still_send: Callable[[], bool]) -> Outcome:
        """Ask the carrier for one text, once, and give what came of it; raises nothing that the carrier can cause.

        `may_still_send` is the caller's guard, asked when all that is left is to write the request, and again between
        its headers and its body, which alone says whom to text. A worker may be stopped at any step (a debugger, a
        machine that swaps or is moved) for longer than its lease: by then another one holds its batch, and the text
        has been looked up in the carrier's log, not found, and given back. The request that it would write on waking
        is stale. When the guard says no, nothing of the body is written and the outcome is Deferred("not_started").
        The guard must be quick, must not raise, and must compare clocks, not flags: a stopped worker sets no flag.

        A cancelled call leaves behind what a killed worker does: a text of which nothing is known.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def create(settings: CarrierSettings) -> Missive | Twilio:
    """Create the carrier that the settings name."""
    if settings.carrier == "twilio":
        return create_twilio(settings)
    return Missive(
        base_url=settings.missive_url,
        token=settings.missive_token,
        timeout=settings.request_timeout,
        max_connections=settings.send_concurrency,
    )


def create_twilio(settings: CarrierSettings) -> Twilio:
    """Create Twilio, whose log is read whatever the carrier is."""
    return Twilio(
        base_url=settings.twilio_url,
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token,
        status_callback=settings.public_url + STATUS_CALLBACK_PATH,
        timeout=settings.request_timeout,
        max_connections=settings.send_concurrency,
    )
