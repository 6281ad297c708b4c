"""The phone network between the carriers and the handsets: messages move, arrive, are answered.

Statuses follow https://www.twilio.com/docs/messaging/api/message-resource#message-status-values: queued, sending, sent,
then delivered or undelivered with an error code. After STOP Twilio sends nothing from that number to that handset until
START (https://support.twilio.com/hc/en-us/articles/223134027): it refuses the request with 21610, and there is no
message, no sid and no entry in its log. Missive has taken the message by then, says nothing of it, and its message
never gets an `external_id`.
"""

import functools
import hashlib
import uuid
from datetime import UTC, datetime

from libs.simulator import handsets
from libs.simulator.clock import CarrierClock, Clock
from libs.simulator.config import Clocks, Config
from libs.simulator.faults import Faults
from libs.simulator.ledger import Conversation, Ledger, Message
from libs.simulator.limits import Limiter
from libs.simulator.request_log import RequestLog
from libs.simulator.webhooks import Webhooks

OPTED_OUT = 21610
EXPIRED = 30036  # https://www.twilio.com/docs/api/errors/30036
#: How much of the time of delivery has passed at a status.
SENDING_AFTER, SENT_AFTER = 0.1, 0.4
FINAL = ("delivered", "undelivered")
#: Where numbers are from, as far as Twilio can tell.
PLACE = {"City": "DETROIT", "State": "MI", "Zip": "48226", "Country": "US"}
TOLD = ("sent", "delivered", "undelivered", "failed")


class Network:
    """Everything the simulator knows, and what happens by itself."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        self.webhooks = Webhooks(self.clock)
        self.clocks = {carrier: CarrierClock() for carrier in Clocks.__struct_fields__}
        self.config = Config()
        self.configure(config)
        self._begin()

    def _begin(self) -> None:
        self.faults = Faults(self.config.plan.seed, self.clock.now)
        self.ledger = Ledger()
        self.request_log = RequestLog()
        self.missive_limiter = Limiter()
        #: (our number, handset) of those who said STOP.
        self.opted_out: set[tuple[str, str]] = set()
        #: When a handset last got a message from a number of ours.
        self._last_text: dict[tuple[str, str], float] = {}
        #: Missive's conversations that have labels, by their ids.
        self.labelled: dict[str, Conversation] = {}
        self._count = 0

    def configure(self, config: Config) -> None:
        """Take a configuration; a clock that it sets anew is off from now on."""
        for carrier, clock in self.clocks.items():
            skew = getattr(config.clocks, carrier)
            if skew != getattr(self.config.clocks, carrier):
                clock.set(offset=skew.offset, drift=skew.drift, at=self.clock.now())
        self.config = config

    async def reset(self) -> None:
        """Forget all that happened; the configuration stays."""
        self.clock.forget()
        await self.webhooks.forget()
        self._begin()

    def identity(self, *of: object) -> uuid.UUID:
        """Return the id of something, the same for the same seed."""
        digest = hashlib.blake2b(repr((self.config.plan.seed, *of)).encode(), digest_size=16).digest()
        return uuid.UUID(bytes=digest, version=4)

    def conversation(self, our_number: str, handset: str) -> str:
        """Return Missive's conversation of two numbers: one, as long as they message each other."""
        return str(self.identity("conversation", our_number, handset))

    def accept(
        self,
        *,
        carrier: str,
        to: str,
        from_number: str,
        body: str,
        account_sid: str | None = None,
        status_callback: str = "",
        validity: int | None = None,
        service: str | None = None,
        is_lost: bool = False,
    ) -> Message:
        """Take a message. Missive's goes to Twilio later, or never if it is lost; Twilio's own has its sid at once."""
        self._count += 1
        message = Message(
            n=self._count,
            carrier=carrier,
            to=to,
            from_number=from_number,
            body=body,
            accepted_at=self.clock.now(),
            account_sid=account_sid or self.config.twilio_account_sid,
            status_callback=status_callback,
            validity=validity,
            service=service,
            after_stop=carrier != "staff" and self.has_opted_out(from_number, to),
        )
        if carrier != "twilio":
            message.missive_id = str(self.identity("missive", message.n))
            message.conversation = self.conversation(from_number, to)
        message.move("accepted", message.accepted_at)
        self.ledger.accept(message)
        plan = self.config.plan
        if carrier == "twilio":
            self._hand_over(message)
        elif is_lost or handsets.draw(plan.seed, "lost", message.n) < plan.never_handed_over:
            message.move("never_handed_over", message.accepted_at)
        else:
            delay = handsets.draw_between(plan.hand_over_delay, plan.seed, "hand over", message.n)
            self.clock.later(delay, functools.partial(self._hand_over, message))
        return message

    def has_opted_out(self, our_number: str, handset: str) -> bool:
        """Whether a handset has said STOP to a number, or to another one of the same service."""
        service = self.config.service_of(our_number)
        numbers = (our_number,) if service is None else self.config.messaging_services[service]
        return any((number, handset) in self.opted_out for number in numbers)

    def sender(self, service: str, handset: str) -> str:
        """Return the number of a service that a handset gets its messages from: always the same (sticky sender)."""
        numbers = self.config.messaging_services[service]
        return numbers[self.identity("sender", service, handset).int % len(numbers)]

    def receive(self, *, from_number: str, to: str, body: str) -> Message:
        """Take a message that a handset writes, heed its keyword, and tell the application."""
        self._count += 1
        now = self.clock.now()
        message = Message(
            n=self._count,
            carrier="handset",
            to=to,
            from_number=from_number,
            body=body,
            accepted_at=now,
            account_sid=self.config.twilio_account_sid,
            missive_id=str(self.identity("missive", self._count)),
            conversation=self.conversation(to, from_number),
            sid=self._sid(self._count),
            handed_over_at=now,
            sent_at=now,
        )
        message.move("received", now)
        self.ledger.receive(message)
        self.ledger.enter_log(message)
        match handsets.keyword(body):
            case "stop":
                self.opted_out.add((to, from_number))
            case "start":
                service = self.config.service_of(to)
                numbers = (to,) if service is None else self.config.messaging_services[service]
                self.opted_out -= {(number, from_number) for number in numbers}
        self._tell_of_reply(message)
        return message

    def _sid(self, n: int) -> str:
        return "SM" + self.identity("sid", n).hex

    def _hand_over(self, message: Message) -> None:
        now = self.clock.now()
        if self.has_opted_out(message.from_number, message.to):
            message.move("never_handed_over", now, error_code=OPTED_OUT)
            return
        message.sid, message.handed_over_at = self._sid(message.n), now
        self.ledger.enter_log(message)
        self._move(message, "queued", at=now)
        plan = self.config.plan
        delay = handsets.draw_between(plan.delivery_delay, plan.seed, "delivery", message.n)
        if message.validity is not None and message.validity < delay * SENT_AFTER:
            self.clock.later(message.validity, functools.partial(self._move, message, "failed", EXPIRED))
            return
        error = handsets.delivery_error(plan, message.to)
        self.clock.later(delay * SENDING_AFTER, functools.partial(self._move, message, "sending"))
        self.clock.later(delay * SENT_AFTER, functools.partial(self._move, message, "sent"))
        if error is None:
            self.clock.later(delay, functools.partial(self._deliver, message))
        else:
            self.clock.later(delay, functools.partial(self._move, message, "undelivered", error))

    def _move(self, message: Message, status: str, error_code: int | None = None, *, at: float | None = None) -> None:
        now = self.clock.now() if at is None else at
        if not message.move(status, now, error_code=error_code):
            return
        if message.sent_at is None and status in TOLD:
            message.sent_at = now
        url = message.status_callback or self.config.twilio_status_callback_url
        if url and status in TOLD:
            self._tell_of_status(message, url)

    def _deliver(self, message: Message) -> None:
        self._move(message, "delivered")
        pair = (message.from_number, message.to)
        plan = self.config.plan
        now = self.clock.now()
        last = self._last_text.get(pair)
        self._last_text[pair] = now
        body = handsets.reply_body(plan, message.to)
        # It answers the first message of a conversation, not each.
        if body is None or pair in self.opted_out or (last is not None and now - last < plan.conversation_gap):
            return
        delay = handsets.draw_between(plan.reply_delay, plan.seed, "reply", message.to)
        self.clock.later(delay, functools.partial(self._reply, message, body))

    def _reply(self, message: Message, body: str) -> None:
        self.receive(from_number=message.to, to=message.from_number, body=body)

    def _tell_of_status(self, message: Message, url: str) -> None:
        """Report a status (https://www.twilio.com/docs/messaging/guides/track-outbound-message-status)."""
        assert message.sid is not None
        form = {
            "AccountSid": message.account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.from_number,
            "To": message.to,
            "MessageSid": message.sid,
            "MessageStatus": message.status,
            "SmsSid": message.sid,
            "SmsStatus": message.status,
        }
        if message.status in FINAL:
            # When the network reported it, in UTC and to the minute.
            done_at = datetime.fromtimestamp(self.clocks["twilio"].read(message.updated_at), UTC)
            form["RawDlrDoneDate"] = f"{done_at:%y%m%d%H%M}"
        if message.error_code is not None:
            form["ErrorCode"] = str(message.error_code)
        self.webhooks.post_twilio(self.config, self.faults, kind="status", url=url, form=form)

    def _tell_of_reply(self, message: Message) -> None:
        """Report a reply, by Missive's rule, by Twilio's webhook, or by both."""
        assert message.sid is not None

        def taken() -> None:
            message.acknowledged_at = message.acknowledged_at or self.clock.now()

        via = self.config.plan.reply_via
        if via != "twilio" and self.config.missive_webhook_url:
            at = self.clocks["missive"].read(message.accepted_at)
            rule = {"id": str(self.identity("rule")), "description": "", "type": self.config.missive_rule_type}
            payload = missive_payload(message, rule, at=at, preview=self.config.missive_preview)
            self.webhooks.post_missive(self.config, self.faults, payload, sid=message.sid, taken=taken)
        if via != "missive" and self.config.twilio_sms_webhook_url:
            form = {
                "AccountSid": message.account_sid,
                "ApiVersion": "2010-04-01",
                "Body": message.body,
                "From": message.from_number,
                "To": message.to,
                "MessageSid": message.sid,
                "SmsMessageSid": message.sid,
                "SmsSid": message.sid,
                "SmsStatus": "received",
                "NumMedia": "0",
                "NumSegments": str(handsets.segments(message.body)),
                **{f"{end}{what}": value for end in ("From", "To") for what, value in PLACE.items()},
            }
            if (service := self.config.service_of(message.to)) is not None:
                form["MessagingServiceSid"] = service
            url = self.config.twilio_sms_webhook_url
            self.webhooks.post_twilio(self.config, self.faults, kind="sms", url=url, form=form, taken=taken)


def missive_payload(message: Message, rule: dict[str, str], *, at: float, preview: int) -> dict[str, object]:
    """Write what Missive's rule sends (https://missiveapp.com/docs/developers/webhooks).

    The documented example is an e-mail's. What a message looks like is known from a client in use: numbers stand in
    `id` and `username` there, the rule's type has been both `incoming_twilio_message` and `incoming_sms_message`, and
    of the words there is a preview alone, on one line and cut. `GET /v1/messages` has the whole `body`.
    """
    second = int(at)
    return {
        "rule": rule,
        "conversation": {
            "id": message.conversation,
            "created_at": second,
            "subject": None,
            "latest_message_subject": None,
            "messages_count": 1,
            "drafts_count": 0,
            "attachments_count": 0,
            "authors": [author(message.from_number)],
            "assignees": [],
            "users": [],
            "shared_labels": [],
        },
        "message": {
            "id": message.missive_id,
            "subject": None,
            "preview": previewed(message.body, preview),
            "type": "sms",
            "delivered_at": second,
            "created_at": second,
            "updated_at": second,
            "references": [],
            "from_field": author(message.from_number),
            "to_fields": [author(message.to)],
            "account_author": None,
            "account_recipients": [author(message.to)],
            "attachments": [],
            "external_id": message.sid,
        },
    }


def previewed(body: str, length: int) -> str:
    """Write the beginning of a message on one line, as Missive's lists show it."""
    line = " ".join(body.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def author(number: str) -> dict[str, str]:
    """Write a phone number as Missive does."""
    return {"id": number, "username": number, "phone_number": number, "name": number}
