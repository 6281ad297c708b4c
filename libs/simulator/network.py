"""The phone network between the carriers and the handsets: texts move, arrive, are answered.

Statuses follow https://www.twilio.com/docs/messaging/api/message-resource#message-status-values: queued, sending, sent,
then delivered or undelivered with an error code. After STOP Twilio sends nothing from that number to that handset until
START (https://support.twilio.com/hc/en-us/articles/223134027); a text that Missive takes all the same is failed with
21610.
"""

import functools
import hashlib
import uuid

from libs.simulator import handsets
from libs.simulator.arrivals import Arrivals
from libs.simulator.clock import Clock
from libs.simulator.config import Config
from libs.simulator.faults import Faults
from libs.simulator.ledger import Ledger, Text
from libs.simulator.limits import Limiter
from libs.simulator.webhooks import Webhooks

OPTED_OUT = 21610
#: How much of the time of delivery has passed at a status.
SENDING_AFTER, SENT_AFTER = 0.1, 0.4
TOLD = ("sent", "delivered", "undelivered", "failed")


class Network:
    """Everything the simulator knows, and what happens by itself."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        self.webhooks = Webhooks(self.clock)
        self.config = config
        self._begin()

    def _begin(self) -> None:
        self.faults = Faults(self.config.plan.seed, self.clock.now)
        self.ledger = Ledger()
        self.arrivals = Arrivals()
        self.missive_limiter = Limiter()
        #: (our number, handset) of those who said STOP.
        self.opted_out: set[tuple[str, str]] = set()
        #: When a handset last got a text from a number of ours.
        self._last_text: dict[tuple[str, str], float] = {}
        self._count = 0

    async def reset(self) -> None:
        """Forget all that happened; the configuration stays."""
        self.clock.forget()
        await self.webhooks.forget()
        self._begin()

    def identity(self, *of: object) -> uuid.UUID:
        """Give the id of something, the same for the same seed."""
        digest = hashlib.blake2b(repr((self.config.plan.seed, *of)).encode(), digest_size=16).digest()
        return uuid.UUID(bytes=digest, version=4)

    def conversation(self, our_number: str, handset: str) -> str:
        """Give Missive's conversation of two numbers: one, as long as they text each other."""
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
        is_lost: bool = False,
    ) -> Text:
        """Take a text. Missive's goes on to Twilio later or, if it is lost, never; Twilio's own has its sid at once."""
        self._count += 1
        text = Text(
            n=self._count,
            carrier=carrier,
            to=to,
            from_number=from_number,
            body=body,
            accepted_at=self.clock.now(),
            account_sid=account_sid or self.config.twilio_account_sid,
            status_callback=status_callback,
            after_stop=carrier != "staff" and (from_number, to) in self.opted_out,
        )
        if carrier != "twilio":
            text.missive_id = str(self.identity("missive", text.n))
            text.conversation = self.conversation(from_number, to)
        text.move("accepted", text.accepted_at)
        self.ledger.accept(text)
        plan = self.config.plan
        if carrier == "twilio":
            self._hand_over(text)
        elif is_lost or handsets.draw(plan.seed, "lost", text.n) < plan.never_handed_over:
            text.move("never_handed_over", text.accepted_at)
        else:
            delay = handsets.draw_between(plan.hand_over_delay, plan.seed, "hand over", text.n)
            self.clock.later(delay, functools.partial(self._hand_over, text))
        return text

    def receive(self, *, from_number: str, to: str, body: str) -> Text:
        """Take a text that a handset writes, heed its keyword, and tell the application."""
        self._count += 1
        now = self.clock.now()
        text = Text(
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
        text.move("received", now)
        self.ledger.receive(text)
        self.ledger.enter_log(text)
        match handsets.keyword(body):
            case "stop":
                self.opted_out.add((to, from_number))
            case "start":
                self.opted_out.discard((to, from_number))
        self._tell_of_reply(text)
        return text

    def _sid(self, n: int) -> str:
        return "SM" + self.identity("sid", n).hex

    def _hand_over(self, text: Text) -> None:
        now = self.clock.now()
        text.sid, text.handed_over_at = self._sid(text.n), now
        self.ledger.enter_log(text)
        if (text.from_number, text.to) in self.opted_out:
            self._move(text, "failed", OPTED_OUT)
            return
        self._move(text, "queued")
        plan = self.config.plan
        delay = handsets.draw_between(plan.delivery_delay, plan.seed, "delivery", text.n)
        error = handsets.delivery_error(plan, text.to)
        self.clock.later(delay * SENDING_AFTER, functools.partial(self._move, text, "sending"))
        self.clock.later(delay * SENT_AFTER, functools.partial(self._move, text, "sent"))
        if error is None:
            self.clock.later(delay, functools.partial(self._deliver, text))
        else:
            self.clock.later(delay, functools.partial(self._move, text, "undelivered", error))

    def _move(self, text: Text, status: str, error_code: int | None = None) -> None:
        now = self.clock.now()
        if not text.move(status, now, error_code=error_code):
            return
        if text.sent_at is None and status in TOLD:
            text.sent_at = now
        url = text.status_callback or self.config.twilio_status_callback_url
        if url and status in TOLD:
            self._tell_of_status(text, url)

    def _deliver(self, text: Text) -> None:
        self._move(text, "delivered")
        pair = (text.from_number, text.to)
        plan = self.config.plan
        now = self.clock.now()
        last = self._last_text.get(pair)
        self._last_text[pair] = now
        body = handsets.reply_body(plan, text.to)
        # It answers the first text of a conversation, not each.
        if body is None or pair in self.opted_out or (last is not None and now - last < plan.conversation_gap):
            return
        delay = handsets.draw_between(plan.reply_delay, plan.seed, "reply", text.to)
        self.clock.later(delay, functools.partial(self._reply, text, body))

    def _reply(self, text: Text, body: str) -> None:
        self.receive(from_number=text.to, to=text.from_number, body=body)

    def _tell_of_status(self, text: Text, url: str) -> None:
        """Report a status (https://www.twilio.com/docs/messaging/guides/track-outbound-message-status)."""
        assert text.sid is not None
        form = {
            "AccountSid": text.account_sid,
            "ApiVersion": "2010-04-01",
            "From": text.from_number,
            "To": text.to,
            "MessageSid": text.sid,
            "MessageStatus": text.status,
            "SmsSid": text.sid,
            "SmsStatus": text.status,
        }
        if text.error_code is not None:
            form["ErrorCode"] = str(text.error_code)
        self.webhooks.post_twilio(self.config, self.faults, kind="status", url=url, form=form)

    def _tell_of_reply(self, text: Text) -> None:
        """Report a reply, by Missive's rule, by Twilio's webhook, or by both."""
        assert text.sid is not None

        def taken() -> None:
            text.acknowledged_at = text.acknowledged_at or self.clock.now()

        via = self.config.plan.reply_via
        if via != "twilio" and self.config.missive_webhook_url:
            payload = missive_payload(text, self.identity("rule"), self.config.missive_rule_type)
            self.webhooks.post_missive(self.config, self.faults, payload, sid=text.sid, taken=taken)
        if via != "missive" and self.config.twilio_sms_webhook_url:
            form = {
                "AccountSid": text.account_sid,
                "ApiVersion": "2010-04-01",
                "Body": text.body,
                "From": text.from_number,
                "To": text.to,
                "MessageSid": text.sid,
                "SmsMessageSid": text.sid,
                "SmsSid": text.sid,
                "SmsStatus": "received",
                "NumMedia": "0",
                "NumSegments": str(handsets.segments(text.body)),
            }
            url = self.config.twilio_sms_webhook_url
            self.webhooks.post_twilio(self.config, self.faults, kind="sms", url=url, form=form, taken=taken)


def missive_payload(text: Text, rule_id: uuid.UUID, rule_type: str) -> dict[str, object]:
    """Write what Missive's rule sends (https://missiveapp.com/docs/developers/webhooks).

    The documented example is an e-mail's. What a text looks like is known from a client in use: numbers stand in `id`
    and `username` there, and the type has been both `incoming_twilio_message` and `incoming_sms_message`.
    `phone_number` and `body` are as `GET /v1/messages` has them.
    """
    at = int(text.accepted_at)
    return {
        "rule": {"id": str(rule_id), "description": "Replies", "type": rule_type},
        "conversation": {
            "id": text.conversation,
            "created_at": at,
            "subject": None,
            "latest_message_subject": None,
            "messages_count": 1,
            "drafts_count": 0,
            "attachments_count": 0,
            "authors": [author(text.from_number)],
            "assignees": [],
            "users": [],
            "shared_labels": [],
        },
        "message": {
            "id": text.missive_id,
            "preview": " ".join(text.body.split()),
            "body": text.body,
            "type": "twilio",
            "delivered_at": at,
            "created_at": at,
            "updated_at": at,
            "references": [],
            "from_field": author(text.from_number),
            "to_fields": [author(text.to)],
            "account_author": None,
            "account_recipients": [author(text.to)],
            "attachments": [],
            "external_id": text.sid,
        },
    }


def author(number: str) -> dict[str, str]:
    """Write a phone number as Missive does."""
    return {"id": number, "username": number, "phone_number": number, "name": number}
