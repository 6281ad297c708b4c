"""Clients and answers that the tests of the carriers share."""

from collections.abc import Callable
from typing import Any

import httpx

from libs.common.carriers import Carrier
from libs.common.carriers.http import Ready, at_once
from libs.common.carriers.missive import Missive
from libs.common.carriers.outcomes import Outcome
from libs.common.carriers.twilio import Twilio

SID = "AC" + "0" * 32
TO = "+13135550111"
FROM = "+13135550100"

#: A function that gives a client of a carrier at an address.
CreateCarrier = Callable[..., Carrier]


def create_missive(base_url: str, **options: Any) -> Missive:
    return Missive(base_url=base_url, token="secret-token", **options)


def create_twilio(base_url: str, **options: Any) -> Twilio:
    return Twilio(base_url=base_url, account_sid=SID, auth_token="secret-token", **options)


def missive_error(status: int) -> dict[str, Any]:
    return {"error": {"message": f"Error {status}"}}


def twilio_error(status: int, code: int = 21211) -> dict[str, Any]:
    return {
        "code": code,
        "message": f"not to {TO}",
        "more_info": "https://www.twilio.com/docs/errors",
        "status": status,
    }


#: Each carrier with an answer that accepts a message.
CARRIERS = {
    "missive": (create_missive, {"drafts": {"id": "d1", "conversation": "c1"}}),
    "twilio": (create_twilio, {"sid": "SM1", "status": "queued"}),
}


async def send(
    carrier: Carrier,
    *,
    body: str = "Hello",
    may_still_send: Callable[[], bool] = lambda: True,
    ready: Ready = at_once,
    valid_for: int | None = None,
    close: bool = True,
) -> Outcome:
    """Send one message, and close the client unless it is to be used again."""
    try:
        return await carrier.send(
            to=TO, from_number=FROM, body=body, may_still_send=may_still_send, ready=ready, valid_for=valid_for
        )
    finally:
        if close:
            await carrier.aclose()


def failing(error: Exception) -> httpx.AsyncClient:
    """Return a client whose every request ends in an error."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.AsyncClient(transport=httpx.MockTransport(fail))


def log_entry(**changes: Any) -> dict[str, Any]:
    """Return an entry of Twilio's log as its API has it."""
    return {
        "sid": "SM1",
        "to": TO,
        "from": FROM,
        "body": "Hello",
        "status": "delivered",
        "error_code": None,
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
        "date_sent": "Thu, 24 Aug 2023 05:01:46 +0000",
        "direction": "outbound-api",
        **changes,
    }
