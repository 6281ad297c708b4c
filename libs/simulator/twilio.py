"""Twilio's Messages resource: sending, and the log (https://www.twilio.com/docs/messaging/api/message-resource).

`POST` and `GET /2010-04-01/Accounts/{sid}/Messages.json`, `GET …/Messages/{sid}.json`, HTTP basic authentication,
errors as `{"code", "message", "more_info", "status"}` (https://www.twilio.com/docs/usage/twilios-response). The shape
is what the `twilio` package reads: see its `rest/api/v2010/account/message` and `base/page`.
"""

import re
from itertools import islice, takewhile
from typing import Any
from urllib.parse import parse_qsl

from libs.simulator import handsets, twilio_log
from libs.simulator.calls import Answer, Call, answer_with_faults
from libs.simulator.config import is_phone_number
from libs.simulator.faults import Fault
from libs.simulator.network import OPTED_OUT, Network

PREFIX = "/2010-04-01"
LONGEST = 1600  # characters

_LIST = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")
_ONE = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages/([^/]+)\.json")

ERRORS = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal server error"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Number"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21660: (400, "Mismatch between the 'From' number and the account"),
}


def kind_of(method: str, path: str) -> str:
    """Name a request for the record."""
    if _LIST.fullmatch(path):
        return {"POST": "twilio_send", "GET": "twilio_log"}.get(method, "other")
    return "twilio_message" if method == "GET" and _ONE.fullmatch(path) else "other"


def answer(network: Network, call: Call, *, concurrent: int) -> Answer:
    """Answer a request."""
    config = network.config
    match = _LIST.fullmatch(call.path) or _ONE.fullmatch(call.path)
    account = match[1] if match is not None else ""
    if config.twilio_auth_token:
        if call.basic_credentials() != (config.twilio_account_sid, config.twilio_auth_token):
            return refusal(20003)
        if account and account != config.twilio_account_sid:
            return refusal(20404)
    if config.limits.twilio_concurrent and concurrent > config.limits.twilio_concurrent:
        limited = refusal(20429)
        return Answer(status=429, content=limited.content, headers={"Retry-After": "1"}, is_violation=True)
    match kind_of(call.method, call.path):
        case "twilio_send":
            form = dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))
            return answer_with_faults(
                lambda: _send(network, account, form),
                network.faults,
                on="send",
                carrier="twilio",
                error=fault_body,
                to=form.get("To"),
            )
        case "twilio_log":
            return answer_with_faults(
                lambda: _list(network, call),
                network.faults,
                on="log",
                carrier="twilio",
                error=fault_body,
            )
        case "twilio_message":
            assert match is not None
            sid = match[2]
            return answer_with_faults(
                lambda: _fetch(network, sid),
                network.faults,
                on="message",
                carrier="twilio",
                error=fault_body,
            )
        case _:
            return refusal(20404)


def _send(network: Network, account: str, form: dict[str, str]) -> Answer:
    to, from_number, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    code = _refusal_code(network, to, from_number, body)
    if code is not None:
        network.ledger.refused[str(code)] += 1
        return refusal(code)
    text = network.accept(
        carrier="twilio",
        to=to,
        from_number=from_number,
        body=body,
        account_sid=account,
        status_callback=form.get("StatusCallback", ""),
    )
    return Answer(status=201, content=twilio_log.resource(text, is_new=True))


def _refusal_code(network: Network, to: str, from_number: str, body: str) -> int | None:
    if not to:
        return 21604
    if not from_number:
        return 21603
    if not body:
        return 21602
    if len(body) > LONGEST:
        return 21617
    if not is_phone_number(from_number):
        return 21212
    if not network.config.owns(from_number):
        return 21660
    behaviour = handsets.behaviour(network.config.plan, to)
    if not is_phone_number(to) or behaviour == "invalid":
        return 21211
    if to == from_number:
        return 21266
    if (from_number, to) in network.opted_out:
        return OPTED_OUT
    return 21614 if behaviour == "landline" else None


def _list(network: Network, call: Call) -> Answer:
    faults = network.faults
    broken = faults.find("log", ("log_unreadable",), carrier="twilio")
    if broken is not None:
        return Answer(status=broken.status, content=fault_body(broken.status), fault=broken.kind)
    try:
        query = twilio_log.parse(call.query)
    except ValueError:
        return Answer(status=400, content=_error(20001, "Invalid parameter", 400))
    lag = faults.find(
        "log",
        ("log_lag", "log_frozen"),
        carrier="twilio",
        when=lambda fault: fault.kind == "log_lag" or _freezes(network, query, fault),
    )
    shift = faults.find("log", ("shift_pages", "skip_entries"), carrier="twilio") if query.after else None
    entries = 0 if shift is None else shift.entries if shift.kind == "skip_entries" else -shift.entries
    newest = None if lag is None else lag.at if lag.kind == "log_frozen" else network.clock.now() - lag.seconds
    content = twilio_log.page(network.ledger, call.path, query, newest=newest, shift=entries)
    hit = shift or lag
    return Answer(status=200, content=content, fault=None if hit is None else hit.kind)


def _freezes(network: Network, query: twilio_log.Query, fault: Fault) -> bool:
    """Tell whether a log that stands still since the fault came hides as many texts as that asks for."""
    before = network.clock.now() - fault.seconds
    texts = takewhile(lambda text: (text.handed_over_at or 0.0) > fault.at, network.ledger.newest_first(None))
    hidden = (
        text
        for text in texts
        if not text.is_inbound and text.accepted_at <= before and query.from_number in (None, text.from_number)
    )
    return len(list(islice(hidden, fault.entries))) == fault.entries


def _fetch(network: Network, sid: str) -> Answer:
    text = network.ledger.by_sid(sid)
    return refusal(20404) if text is None else Answer(status=200, content=twilio_log.resource(text))


def refusal(code: int) -> Answer:
    """Write an error as Twilio does."""
    status, message = ERRORS[code]
    return Answer(status=status, content=_error(code, message, status), code=code)


def fault_body(status: int) -> dict[str, Any]:
    """Write the body of an error that a fault asks for."""
    return _error(*((20429, "Too Many Requests") if status == 429 else (20500, "Internal server error")), status)


def _error(code: int, message: str, status: int) -> dict[str, Any]:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more_info, "status": status}
