"""Twilio's Messages resource: sending, and the log (https://www.twilio.com/docs/messaging/api/message-resource).

`POST` and `GET /2010-04-01/Accounts/{sid}/Messages.json`, `GET …/Messages/{sid}.json`, `GET
…/IncomingPhoneNumbers.json` (which numbers are the account's), HTTP basic authentication,
errors as `{"code", "message", "more_info", "status"}` (https://www.twilio.com/docs/usage/twilios-response). The shape
is what the `twilio` package reads: see its `rest/api/v2010/account/message` and `base/page`.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from libs.common.domain.message_parts import utf16_units
from libs.simulator import handsets, twilio_log
from libs.simulator.config import is_phone_number
from libs.simulator.faults import Fault
from libs.simulator.network import OPTED_OUT, Network
from libs.simulator.requests import Answer, Call, answer_with_faults

PREFIX = "/2010-04-01"
LONGEST = 1600  # units of UTF-16
LONGEST_VALIDITY = 36_000  # seconds

_LIST = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")
_NUMBERS = re.compile(r"/2010-04-01/Accounts/([^/]+)/IncomingPhoneNumbers\.json")
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
    21624: (400, "Invalid validity period value"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21701: (404, "The Messaging Service does not exist"),
    21703: (400, "The Messaging Service does not have a phone number available to send a message"),
    21660: (400, "Mismatch between the 'From' number and the account"),
}


def kind_of(method: str, path: str) -> str:
    """Name a request for the record."""
    if _LIST.fullmatch(path):
        return {"POST": "twilio_send", "GET": "twilio_log"}.get(method, "other")
    if method == "GET" and _NUMBERS.fullmatch(path):
        return "twilio_numbers"
    return "twilio_message" if method == "GET" and _ONE.fullmatch(path) else "other"


def answer(network: Network, call: Call, *, concurrent: int) -> Answer:
    """Answer a request."""
    config = network.config
    match = _LIST.fullmatch(call.path) or _ONE.fullmatch(call.path) or _NUMBERS.fullmatch(call.path)
    account = match[1] if match is not None else ""
    if config.twilio_auth_token:
        given = call.basic_credentials()
        keys = (config.twilio_api_key, config.twilio_api_key_secret)
        if given != (config.twilio_account_sid, config.twilio_auth_token) and (not all(keys) or given != keys):
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
        case "twilio_numbers":
            return _numbers(network, dict(parse_qsl(call.query)).get("PhoneNumber", ""))
        case _:
            return refusal(20404)


def _numbers(network: Network, asked: str) -> Answer:
    """List the account's numbers, or the one that is asked for; where any number is the account's, that one."""
    owned = network.config.from_numbers or ((asked,) if network.config.owns(asked) else ())
    found = [{"phone_number": number} for number in owned if asked in ("", number)]
    return Answer(status=200, content={"incoming_phone_numbers": found, "next_page_uri": None})


def _send(network: Network, account: str, form: dict[str, str]) -> Answer:
    to, from_number, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    service = form.get("MessagingServiceSid", "")
    if service:
        if not network.config.messaging_services.get(service):
            problem = 21703 if service in network.config.messaging_services else 21701
            network.ledger.refused[str(problem)] += 1
            return refusal(problem)
        from_number = network.sender(service, to)
    validity = form.get("ValidityPeriod", str(LONGEST_VALIDITY))
    code = _refusal_code(network, to, from_number, body) or (None if _is_validity(validity) else 21624)
    if code is not None:
        network.ledger.refused[str(code)] += 1
        return refusal(code)
    message = network.accept(
        carrier="twilio",
        to=to,
        from_number=from_number,
        body=body,
        account_sid=account,
        status_callback=form.get("StatusCallback", ""),
        validity=int(validity),
        service=service or None,
    )
    return Answer(status=201, content=twilio_log.resource(message, _view(network), is_new=True))


def _refusal_code(network: Network, to: str, from_number: str, body: str) -> int | None:
    if not to:
        return 21604
    if not from_number:
        return 21603
    if not body:
        return 21602
    if utf16_units(body) > LONGEST:
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
    if network.has_opted_out(from_number, to):
        return OPTED_OUT
    return 21614 if behaviour == "landline" else None


def _is_validity(given: str) -> bool:
    """Whether it is a `ValidityPeriod` (https://www.twilio.com/docs/api/errors/21624)."""
    return given.isascii() and given.isdigit() and 1 <= int(given[:6]) <= LONGEST_VALIDITY


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
        when=lambda fault: twilio_log.hides(network.ledger, query, _view(network, fault)),
    )
    shift = faults.find("log", ("shift_pages", "skip_entries"), carrier="twilio") if query.after else None
    entries = 0 if shift is None else shift.entries if shift.kind == "skip_entries" else -shift.entries
    content = twilio_log.page(network.ledger, call.path, query, view=_view(network, lag), shift=entries)
    hit = shift or lag
    return Answer(status=200, content=content, fault=None if hit is None else hit.kind)


def _view(network: Network, lag: Fault | None = None) -> twilio_log.View:
    """Return how the log looks under a fault, or without one."""
    as_of = None if lag is None else lag.at if lag.kind == "log_frozen" else network.clock.now() - lag.seconds
    return twilio_log.View(clock=network.clocks["twilio"], as_of=as_of)


def _fetch(network: Network, sid: str) -> Answer:
    message = network.ledger.by_sid(sid)
    return (
        refusal(20404) if message is None else Answer(status=200, content=twilio_log.resource(message, _view(network)))
    )


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
