"""The carriers: who messages go through, and what is known of them afterwards.

`outcomes` is what came of a request, `error_codes` what an error means, `answers` whether an answer is the carrier's
word, `statuses` how far a message got, `message_log` and `log_matching` what the carrier's log says of it, `signatures`
whether a webhook is theirs. `missive` and `twilio` are the two clients. Both reach the network through `http`, which is
where "at most once" is decided.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from libs.common.carriers import http
from libs.common.carriers.clocks import Meter
from libs.common.carriers.http import Ready
from libs.common.carriers.missive import Missive
from libs.common.carriers.outcomes import Outcome
from libs.common.carriers.twilio import Twilio
from libs.common.settings import CarrierSettings

STATUS_CALLBACK_PATH = "/webhooks/twilio/status"


class Carrier(Protocol):
    """Who messages go through."""

    @property
    def name(self) -> str:
        """`missive` or `twilio`."""
        ...

    @property
    def meter(self) -> Meter:
        """What measures its clock by each of its answers."""
        ...

    async def send(
        self,
        *,
        to: str,
        from_number: str,
        body: str,
        may_still_send: Callable[[], bool],
        ready: Ready = http.at_once,
        labels: Sequence[str] = (),
        valid_for: int | None = None,
    ) -> Outcome:
        """Ask the carrier for one message, once, and give what came of it; raises nothing that the carrier can cause.

        `from_number` is one of ours; at Twilio it may be the SID of a Messaging Service in its place.

        `may_still_send` is the caller's guard, asked when all that remains is to write the request, and again between
        its headers and its body, which alone says whom to text. A worker may be stopped at any step (a debugger, a
        machine that swaps or is moved) for longer than its lease: by then another one holds its batch, and the message
        has been looked up in the carrier's log, not found, and given back. The request that it would write on waking
        is stale. When the guard says no, nothing of the body is written and the outcome is Deferred("not_started").
        The guard must be quick, must not raise, and must compare clocks, not flags: a stopped worker sets no flag.

        `ready` is awaited before that, once there is a connection: it keeps the pace, and waits for another slot where
        the message's own has passed meanwhile.

        `labels` are ids of Missive's, which the conversation gets with the message.
        `valid_for` is for how many seconds the carrier may keep the message before it sends it: after that the quiet
        hours of its recipient begin. Twilio has such a limit, Missive has none.

        A cancelled call leaves behind what a killed worker does: a message of which nothing is known.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def create(settings: CarrierSettings) -> list[Carrier]:
    """Create every carrier that messages may go through: Twilio, and Missive where it has its keys."""
    missive = [create_missive(settings)] if settings.uses_missive else []
    return [create_twilio(settings), *missive]


def create_missive(settings: CarrierSettings) -> Missive:
    """Create Missive, which is asked for the words of replies whatever the carrier is."""
    return Missive(
        base_url=settings.missive_url,
        token=settings.missive_token.get_secret_value(),
        timeout=settings.request_timeout,
        max_connections=settings.send_concurrency,
        organization=settings.missive_organization,
        labels=settings.missive_labels,
    )


def create_twilio(settings: CarrierSettings, *, by_api_key: bool = True) -> Twilio:
    """Create Twilio, whose log is read whatever the carrier is; by the API key if there is one."""
    return Twilio(
        base_url=settings.twilio_url,
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token.get_secret_value(),
        api_key=settings.twilio_key if by_api_key else None,
        status_callback=settings.public_url + STATUS_CALLBACK_PATH,
        timeout=settings.request_timeout,
        max_connections=settings.send_concurrency,
    )
