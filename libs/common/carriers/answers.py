"""What an answer says, and whether it is the carrier's at all.

Between us and a carrier stand proxies, gateways, firewalls and load balancers, and each of them may answer in the
carrier's place, with any status. An answer is the carrier's word only if it is what the carrier's documents describe: a
JSON object that is declared as JSON, with the fields of that carrier's errors (`Twilio`, `Missive`) or of its results.
All else says nothing about a recipient. It defers the message where whoever answers in the carrier's place says that it
passed nothing on, and leaves it unknown otherwise; either way everybody is held back, and nobody is refused.
"""

import json
from typing import Any

import httpx

from libs.common.carriers import error_codes
from libs.common.carriers.outcomes import Deferred, Outcome, Refused, Unknown
from libs.common.clock import utc_now
from libs.common.domain import rate_windows

#: Statuses that are given before a request is passed on: no such route, no login at the proxy, too large, too many.
#: Not 400, 403 and 408: firewalls turn the carrier's own answer into a 403, gateways end a slow one by 408 or 400.
NOT_PASSED_ON = frozenset({401, 404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 429, 431, 511})


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object that an answer declares and holds; None if it is anything else."""
    declared = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared != "application/json" and not (declared.startswith("application/") and declared.endswith("+json")):
        return None
    try:
        parsed = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def text_in(content: Any, *path: str) -> str | None:
    """Return the non-empty string at a path of keys; None if there is none."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) and content else None


def refusal(response: httpx.Response, own_code: str | None) -> Outcome:
    """Return what follows from an answer other than a success; `own_code` is None where it is not the carrier's."""
    if own_code is None:
        return _in_its_place(response)
    meaning = error_codes.classify(own_code, http_status=response.status_code)
    match meaning.kind:
        case error_codes.ErrorAction.UNCERTAIN:
            return Unknown(reason=own_code, retry_after=retry_after(response))
        case (
            error_codes.ErrorAction.GIVE_UP
            | error_codes.ErrorAction.OPT_OUT
            | error_codes.ErrorAction.STOP_ABOVE_THRESHOLD
        ):
            return Refused(code=own_code, reason=meaning.text)
        case _:
            return Deferred(code=own_code, reason=meaning.text, retry_after=retry_after(response))


def _in_its_place(response: httpx.Response) -> Outcome:
    code = error_codes.gateway(response.status_code)
    if response.status_code in NOT_PASSED_ON:
        return Deferred(code=code, reason=error_codes.classify(code).text, retry_after=retry_after(response))
    return Unknown(reason=code, retry_after=retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds for which the carrier asks to be left alone."""
    return rate_windows.wait_asked_for(response.headers, now=utc_now())
