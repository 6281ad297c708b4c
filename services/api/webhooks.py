"""What the carriers tell: replies and delivery reports.

The signature is checked over the raw body before anything is read from it; without a configured secret nothing passes.
Success is answered after the commit only, so that the carrier tries again whatever was not recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog
from litestar import Request, Response, post
from litestar.di import NamedDependency

from libs.common import consent, delivery, lifecycle, telemetry
from libs.common import events as e
from libs.common.carriers import signatures, statuses
from libs.common.consent import Inbound
from libs.common.database import Connection
from services.api import incoming, transactions
from services.api.auth import PUBLIC
from services.api.context import Context
from services.api.problems import BadSignature, MalformedBody

log = structlog.stdlib.get_logger(__name__)

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

#: Tells whether a number is one of ours: what we send comes back by Missive's rules too.
OURS = "SELECT FROM sending_numbers WHERE phone_number = %(number)s"

#: Which broadcast a text is of, by the carrier's id.
OF_BROADCAST = "SELECT broadcast_id FROM broadcast_sent_message_status WHERE twilio_id = %(twilio_id)s"

#: Locks what is known of a text by the carrier's id.
STATUS = """
SELECT outgoing_message_id, broadcast_id, twilio_sent_status FROM broadcast_sent_message_status
WHERE twilio_id = %(twilio_id)s FOR NO KEY UPDATE
"""

#: What may become of a webhook; `known` was recorded before, or is one of our own texts.
RESULTS = ("recorded", "known", "ignored", "refused", "malformed", "failed")
for _source in ("missive", "twilio_sms", "twilio_status"):
    for _result in RESULTS:
        telemetry.WEBHOOKS.labels(_source, _result)

AnyRequest = Request[Any, Any, Any]


@post("/webhooks/missive", opt=PUBLIC, status_code=200)
async def missive(request: AnyRequest, api: NamedDependency[Context]) -> dict[str, bool]:
    """Take an incoming SMS from Missive."""
    with _counted("missive") as count:
        raw = await request.body()
        if not signatures.missive_signature_ok(
            api.settings.missive_webhook_secret, raw, request.headers.get("x-hook-signature")
        ):
            raise BadSignature
        try:
            payload = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedBody from None
        inbound = incoming.missive(payload, api.clock())
        if inbound is None:
            log.info("webhook_without_a_text", carrier="missive")
            return {"recorded": False}
        recorded = await _receive(api, inbound)
        count("recorded" if recorded else "known")
        return {"recorded": recorded}


@post("/webhooks/twilio/sms", opt=PUBLIC, status_code=200, media_type="text/xml")
async def twilio_sms(request: AnyRequest, api: NamedDependency[Context]) -> Response[str]:
    """Take an incoming SMS from Twilio."""
    with _counted("twilio_sms") as count:
        form = await _signed_form(request, api)
        inbound = incoming.twilio(form, api.clock())
        if inbound is None:
            log.info("webhook_without_a_text", carrier="twilio")
        else:
            recorded = await _receive(api, inbound, told=dict(form).get("OptOutType", ""))
            count("recorded" if recorded else "known")
        return Response(EMPTY_TWIML, media_type="text/xml")


@post("/webhooks/twilio/status", opt=PUBLIC, status_code=204)
async def twilio_status(request: AnyRequest, api: NamedDependency[Context]) -> None:
    """Take a delivery report from Twilio. One that comes before we know the text's id is left to the status sync."""
    with _counted("twilio_status") as count:
        if await _report(dict(await _signed_form(request, api)), api):
            count("recorded")


async def _report(form: dict[str, str], api: Context) -> bool:
    """Record what a delivery report says; False if it is no news of a text of ours."""
    sid, status = form.get("MessageSid") or form.get("SmsSid"), form.get("MessageStatus") or form.get("SmsStatus")
    code = form.get("ErrorCode", "")
    if not sid or not status or "\x00" in sid + status:
        return False

    async def work(connection: Connection) -> bool:
        named = {"twilio_id": sid}
        if code and (text := await (await connection.execute(OF_BROADCAST, named)).fetchone()):
            # It may have to be paused, and its row comes before those of its texts, here as in a pass over the log.
            await lifecycle.load(connection, text["broadcast_id"])
        row = await (await connection.execute(STATUS, named)).fetchone()
        if row is None or not statuses.advances(row["twilio_sent_status"], status):
            return False
        told = e.TextStatus(
            text=row["outgoing_message_id"],
            twilio_id=sid,
            status=status,
            error_code=int(code) if code.isascii() and code.isdecimal() and len(code) < 9 and int(code) else None,
            sent_at=None,
        )
        event = e.StatusesSynced(broadcast_id=row["broadcast_id"], statuses=(told,), number=None)
        await delivery.record(connection, event, api.clock())
        return True

    return await transactions.retrying(api.pool, work)


@contextmanager
def _counted(source: str) -> Iterator[Callable[[str], None]]:
    """Count a webhook by what became of it: `ignored` unless the block says otherwise, or raises."""
    results = ["ignored"]
    try:
        yield results.append
    except BadSignature:
        results.append("refused")
        raise
    except MalformedBody:
        results.append("malformed")
        raise
    except Exception:
        results.append("failed")
        raise
    finally:
        telemetry.WEBHOOKS.labels(source, results[-1]).inc()


async def _signed_form(request: AnyRequest, api: Context) -> Sequence[tuple[str, str]]:
    """Give the fields of a form that Twilio signed, with the URL as it called it. Raises BadSignature."""
    raw = await request.body()
    query = request.url.query
    url = f"{api.settings.public_url}{request.url.path}{f'?{query}' if query else ''}"
    form = parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)
    if not signatures.twilio_signature_ok(
        api.settings.twilio_auth_token, url, form, request.headers.get("x-twilio-signature")
    ):
        raise BadSignature
    return form


async def _receive(api: Context, inbound: Inbound, *, told: str = "") -> bool:
    """Record a reply and do what it asks for; False if it was recorded before, or is one of ours.

    `told` is what Twilio took it for: an account may have keywords of its own, and Twilio then blocks the number.
    """

    async def work(connection: Connection) -> bool:
        if await (await connection.execute(OURS, {"number": inbound.phone_number})).fetchone() is not None:
            return False
        new = await consent.receive(connection, inbound, api.clock())
        # Missive may have told of it first, without Twilio's word for it.
        if told == "STOP":
            await consent.opt_out(connection, inbound.phone_number, "carrier", api.clock())
        elif new and told == "START":
            await consent.opt_in(connection, inbound.phone_number, "sms", api.clock())
        return new

    return await transactions.retrying(api.pool, work)


HANDLERS = (missive, twilio_sms, twilio_status)
