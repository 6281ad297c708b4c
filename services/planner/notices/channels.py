"""The ways by which notices go: a mail server, a webhook, a post in Missive. Each delivers one, or raises NotDelivered.

A notice that was delivered, and of which that was not written down any more, is delivered again. It has the same id
then: `Message-ID` of a letter, `webhook-id` of a webhook.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import httpx

from libs.common.catalogue import gettext as _
from libs.common.domain.notices import NoticeChannel
from libs.common.errors import BroadsheetError
from libs.common.settings import is_loopback
from libs.common.settings.planner import PlannerSettings

WITHIN = 15.0  # seconds for one request, or for one answer of the mail server
SMTP_PORT, SMTPS_PORT = 587, 465
USER_AGENT = "Broadsheet"


class NotDelivered(BroadsheetError):
    """A notice could not be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A notice as it goes out."""

    id: int
    #: The kind, for programs.
    type: str
    title: str
    body: str
    #: Where something can be done about it.
    url: str
    broadcast_id: int | None
    happened_at: datetime
    address: str
    #: What a webhook is signed with.
    secret: str | None


class Channels:
    """All ways, with what they need."""

    def __init__(self, settings: PlannerSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(timeout=WITHIN, follow_redirects=False, headers={"User-Agent": USER_AGENT})

    async def deliver(self, channel: NoticeChannel, dispatch: Dispatch, now: datetime) -> None:
        """Deliver a notice. Raise NotDelivered, whose words name no address."""
        match channel:
            case NoticeChannel.EMAIL:
                await self._email(dispatch, now)
            case NoticeChannel.WEBHOOK:
                await self._webhook(dispatch, now)
            case NoticeChannel.MISSIVE:
                await self._missive(dispatch)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _email(self, dispatch: Dispatch, now: datetime) -> None:
        server = self._settings.smtp_url.get_secret_value()
        if not server:
            raise NotDelivered("no mail server is set")
        letter = email(dispatch, self._settings.smtp_from, now)
        try:
            await asyncio.to_thread(_hand_to_mail_server, server, letter)
        except smtplib.SMTPRecipientsRefused as error:
            raise NotDelivered("the mail server does not take letters to this address") from error
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered {error.smtp_code}") from error
        except smtplib.SMTPException as error:
            raise NotDelivered(f"the mail server cannot be used: {type(error).__name__}") from error
        except OSError as error:
            raise NotDelivered(f"the mail server does not answer: {type(error).__name__}") from error

    async def _webhook(self, dispatch: Dispatch, now: datetime) -> None:
        body = payload(dispatch)
        assert dispatch.secret is not None
        signed = signature(dispatch.secret, f"notice_{dispatch.id}", int(now.timestamp()), body)
        await self._post(dispatch.address, content=body, headers={"Content-Type": "application/json", **signed})

    async def _missive(self, dispatch: Dispatch) -> None:
        token = self._settings.missive_token.get_secret_value()
        if not token:
            raise NotDelivered("no token of Missive's is set")
        # https://missiveapp.com/docs/developers/rest-api/endpoints, "Create post"
        post = {
            "conversation": dispatch.address,
            "username": "Broadsheet",
            "notification": {"title": dispatch.title, "body": dispatch.body},
            "text": f"{dispatch.title}\n{dispatch.body}\n{dispatch.url}",
        }
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps({"posts": post}).encode()
        await self._post(f"{self._settings.missive_url}/v1/posts", content=body, headers=headers)

    async def _post(self, url: str, *, content: bytes, headers: dict[str, str]) -> None:
        try:
            async with (
                asyncio.timeout(WITHIN),
                self._client.stream("POST", url, content=content, headers=headers) as answer,
            ):
                status = answer.status_code  # its body is nobody's business, and may have no end
        except TimeoutError as error:
            raise NotDelivered("no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotDelivered(f"no answer: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotDelivered(f"the answer was {status}")


def email(dispatch: Dispatch, sender: str, now: datetime) -> EmailMessage:
    """Return a notice as a letter."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, dispatch.address, dispatch.title
    letter["Date"] = format_datetime(now)
    letter["Message-ID"] = f"<notice-{dispatch.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    why = _("You chose this notice under Settings, Notices.")
    letter.set_content(f"{dispatch.body}\n\n{dispatch.url}\n\n--\n{why}\n")
    return letter


def payload(dispatch: Dispatch) -> bytes:
    """Return what a webhook posts."""
    told = {
        "type": dispatch.type,
        "timestamp": dispatch.happened_at.isoformat(),
        "data": {
            "broadcast_id": dispatch.broadcast_id,
            "title": dispatch.title,
            "text": dispatch.body,
            "url": dispatch.url,
        },
    }
    return json.dumps(told).encode()


def signature(secret: str, identity: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed webhook (https://www.standardwebhooks.com)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _hand_to_mail_server(url: str, letter: EmailMessage) -> None:
    """Hand a letter to the server. Without TLS only to one on this machine."""
    address = urlsplit(url)
    host = address.hostname or ""
    tls = ssl.create_default_context()
    if address.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, address.port or SMTPS_PORT, timeout=WITHIN, context=tls)
    else:
        server = smtplib.SMTP(host, address.port or SMTP_PORT, timeout=WITHIN)
    with server:
        if address.scheme == "smtp" and not is_loopback(host):
            server.starttls(context=tls)
        if address.username:
            server.login(unquote(address.username), unquote(address.password or ""))
        server.send_message(letter)
