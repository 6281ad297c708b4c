"""What the carriers report: replies and delivery reports.

The signature is checked over the raw body before anything is read from it; without a configured secret nothing passes.
Success is answered after the commit only, so that the carrier tries again whatever was not recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import structlog
from litestar import Request, Response, post
from litestar.di import NamedDependency

from libs.common import database
from libs.common.broadcasts import delivery_status, replies, repository, single_log
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.keyword_answers import Answers
from libs.common.carriers import signatures, statuses
from libs.common.domain import actors
from libs.common.domain import events as e
from libs.common.domain.actors import Actor
from libs.common.domain.cause import Cause
from libs.common.observability import telemetry
from services.api.context import Context
from services.api.http import transactions
from services.api.http.auth import PUBLIC
from services.api.http.contract import tells
from services.api.http.correlation import cause_of
from services.api.http.errors import BadSignature, BodyCutShort, MalformedBody
from services.api.http.queries import ANY_QUERY
from services.api.http.reading import path_as_sent
from services.api.webhooks import incoming, queries, staff_word

log = structlog.stdlib.get_logger(__name__)

MOST_FIELDS = 300  # of a form; Twilio sends some thirty

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

#: What may become of a webhook; `known` was recorded before, or is one of our own messages; `aborted` broke off while
#: it was read; `failed` is a fault of ours.
RESULTS = ("recorded", "known", "ignored", "refused", "malformed", "aborted", "failed")
SOURCES = ("missive", "twilio_sms", "twilio_status")

AnyRequest = Request[Any, Any, Any]

MISSIVE_ACTOR, TWILIO_ACTOR = actors.carrier("missive"), actors.carrier("twilio")

#: What the carriers send. More is in it than what is read; what a signature covers is taken as it is.
MISSIVE = tells(
    BadSignature,
    body={
        "application/json": {
            "type": "object",
            "description": "a webhook of a rule of Missive's: for incoming SMS, label changes or comments",
        }
    },
    reads={"X-Hook-Signature": "`sha256=` and the HMAC-SHA256 of the body in hex, with the rule's secret"},
)
TWILIO = tells(
    BadSignature,
    body={
        "application/x-www-form-urlencoded": {
            "type": "object",
            "description": "the parameters of Twilio's webhook",
            "additionalProperties": {"type": "string"},
        }
    },
    reads={"X-Twilio-Signature": "Twilio's signature over the URL and the form"},
)


def begin_at_zero() -> None:
    """Have this process expose what may become of each webhook, from 0 on (`libs/common/broadcasts/counters.py`)."""
    for source in SOURCES:
        for result in RESULTS:
            telemetry.WEBHOOKS.labels(source, result)


@post("/webhooks/missive", opt=PUBLIC | ANY_QUERY | MISSIVE, status_code=200)
async def missive(request: AnyRequest, api: NamedDependency[Context]) -> dict[str, bool]:
    """Take from Missive an incoming SMS, a change of labels, or a comment of staff."""
    with _counted(api, "missive") as count:
        raw = await request.body()
        if not signatures.missive_signature_ok(
            api.settings.missive_webhook_secret.get_secret_value(), raw, request.headers.get("x-hook-signature")
        ):
            raise BadSignature
        payload = incoming.decode(raw)
        offset = await api.missive_clock.offset()
        now, cause = api.clock(), _cause(request, MISSIVE_ACTOR)
        heeded = await staff_word.heed(api, cause, payload, now, offset)
        inbound = incoming.missive(payload, now, offset)
        if inbound is None:
            if heeded:
                count("recorded")
            else:
                log.info("webhook_without_a_message", carrier="missive")
            return {"recorded": heeded}
        recorded = await _receive(api, cause, inbound) or heeded
        if not recorded:
            recorded = await staff_word.follow(api, cause, inbound)
        count("recorded" if recorded else "known")
        return {"recorded": recorded}


@post("/webhooks/twilio/sms", opt=PUBLIC | ANY_QUERY | TWILIO, status_code=200, media_type="text/xml")
async def twilio_sms(request: AnyRequest, api: NamedDependency[Context]) -> Response[str]:
    """Take an incoming SMS from Twilio."""
    with _counted(api, "twilio_sms") as count:
        form = await _signed_form(request, api)
        inbound = incoming.twilio(form, api.settings.twilio_account_sid, api.clock())
        recorded = await _receive(api, _cause(request, TWILIO_ACTOR), inbound)
        count("recorded" if recorded else "known")
        return Response(EMPTY_TWIML, media_type="text/xml")


@post("/webhooks/twilio/status", opt=PUBLIC | ANY_QUERY | TWILIO, status_code=204)
async def twilio_status(request: AnyRequest, api: NamedDependency[Context]) -> None:
    """Take a delivery report from Twilio. One that comes before we know the message's id is left to the status sync."""
    with _counted(api, "twilio_status") as count:
        form = await _signed_form(request, api)
        checked = incoming.checked(form, incoming.STATUS_FIELDS, api.settings.twilio_account_sid)
        if await _report(checked, api, _cause(request, TWILIO_ACTOR)):
            count("recorded")


async def _report(form: dict[str, str], api: Context, cause: Cause) -> bool:
    """Record what a delivery report says; False if it is no news of a message of ours."""
    sid, status, code = form["MessageSid"], statuses.normal(form["MessageStatus"]), form.get("ErrorCode", "")
    if not status:
        return False
    incoming.check_id(status)
    number = int(code) if code.isascii() and code.isdecimal() and len(code) < 9 and int(code) else None

    async def attempt() -> bool:
        async with database.transaction(api.webhooks, cause) as connection:
            if code and (broadcast_id := await queries.broadcast_of(connection, sid)):
                # It may have to be paused, and its row comes before its messages, here as in a pass over the log.
                await repository.lock(connection, broadcast_id)
            known = await queries.lock_message(connection, sid)
            if known is None:
                return await single_log.report(connection, sid, status, number, api.clock())
            if not statuses.advances(known.status, status):
                return False
            change = e.MessageStatus(
                message_id=known.message_id,
                twilio_id=sid,
                status=status,
                error_code=number,
                sent_at=None,
            )
            event = e.StatusesSynced(broadcast_id=known.broadcast_id, statuses=(change,), number=None)
            await delivery_status.record(connection, event, api.clock())
            return True

    # A message has an id, a status an order: reported twice, it is recorded once.
    return await transactions.twice_is_once(attempt)


def _cause(request: AnyRequest, carrier: Actor) -> Cause:
    """Return what a webhook is the cause of.

    It is no dependency of the handlers, since Litestar starts a group of tasks for two: a tenth of what a reply costs.
    """
    return replace(cause_of(request), actor=carrier)


@contextmanager
def _counted(api: Context, source: str) -> Iterator[Callable[[str], None]]:
    """Count a webhook by what became of it: `ignored` unless the block says otherwise, or raises. Note when it came."""
    results = ["ignored"]
    try:
        yield results.append
    except BadSignature:
        results.append("refused")
        api.webhook_sources.refused(source, api.clock())
        raise
    except BodyCutShort:
        results.append("aborted")
        raise
    except MalformedBody:
        results.append("malformed")
        raise
    except Exception:
        results.append("failed")
        raise
    else:
        api.webhook_sources.took(source, api.clock())
    finally:
        telemetry.WEBHOOKS.labels(source, results[-1]).inc()


async def _signed_form(request: AnyRequest, api: Context) -> Sequence[tuple[str, str]]:
    """Return the fields of a form that Twilio signed, with the URL as it called it. Raise BadSignature."""
    raw = await request.body()
    query = request.url.query
    url = f"{api.settings.public_url}{path_as_sent(request)}{f'?{query}' if query else ''}"
    try:
        form = parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise MalformedBody("there are too many fields in the form") from None
    if not signatures.twilio_signature_ok(
        api.settings.twilio_auth_token.get_secret_value(), url, form, request.headers.get("x-twilio-signature")
    ):
        raise BadSignature
    return form


def _answers(api: Context) -> Answers:
    """Return what is answered by itself; nothing where the carrier does it."""
    settings = api.settings
    if settings.keyword_answers == "carrier":
        return Answers(own_numbers=settings.own_numbers)
    return Answers(help=settings.answer_to_help, start=settings.answer_to_start, own_numbers=settings.own_numbers)


async def _receive(api: Context, cause: Cause, inbound: Inbound) -> bool:
    """Record a reply and do what it asks for; False if it was recorded before, or seems to come from a number of ours.

    What we send comes back by Missive's rules too, and is no reply. A STOP counts whoever it comes from.
    """
    is_ours = inbound.phone_number in api.settings.own_numbers
    answers = _answers(api)

    async def attempt() -> bool:
        if not is_ours and await replies.receive_alone(
            api.webhooks, cause, inbound, api.clock(), ended_by=api.settings.follow_up_ended_by, answers=answers
        ):
            return True
        async with database.transaction(api.webhooks, cause) as connection:
            if is_ours:
                await replies.heed(connection, inbound, api.clock())
                return False
            return await replies.receive(
                connection, inbound, api.clock(), ended_by=api.settings.follow_up_ended_by, answers=answers
            )

    # A message has an id: reported twice, it is recorded once.
    return await transactions.twice_is_once(attempt)


HANDLERS = (missive, twilio_sms, twilio_status)
