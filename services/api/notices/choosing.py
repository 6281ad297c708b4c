"""Choosing notices: a user for themselves, an admin for the organisation."""

import base64
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from libs.common.database import Connection
from libs.common.domain.events.registers import NoticesChosen
from libs.common.domain.notices import NoticeChannel, NoticeKind
from libs.common.errors import Invalid
from libs.common.eventstore import store
from libs.common.settings import is_loopback
from libs.common.texts import gettext_noop as n_
from services.api.accounts import users
from services.api.notices import queries

LONGEST = 500  # characters of an address
_CONVERSATION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ORGANISATION = "organisation"


async def choose(
    connection: Connection,
    user_id: int | None,
    channel: NoticeChannel,
    *,
    address: str,
    kinds: Sequence[NoticeKind],
    now: datetime,
) -> str | None:
    """Have notices of these kinds go by a way, for a user or for the organisation (None); without a kind, none.

    Return the secret that a webhook is signed with where it is new. Raise Invalid.
    """
    made = None
    before = (await queries.of(connection, user_id)).get(channel)
    if kinds:
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        is_webhook = channel is NoticeChannel.WEBHOOK
        kept = await queries.choose(
            connection,
            user_id,
            channel,
            address=checked(channel, address, is_users=user_id is not None),
            secret=secret if is_webhook else None,
            kinds=kinds,
        )
        made = secret if kept == secret else None
    else:
        await queries.forget(connection, user_id, channel)
    after = (await queries.of(connection, user_id)).get(channel)
    if (before and before.choice) == (after and after.choice):
        return None
    stream = ORGANISATION if user_id is None else f"user-{user_id}"
    event = NoticesChosen(user_id=user_id, channel=channel, kinds=tuple(kinds))
    await store.append(connection, stream, [event], now=now)
    return made


def checked(channel: NoticeChannel, given: str, *, is_users: bool) -> str:
    """Return an address as it is kept. Raise Invalid.

    A user's letters go to the user's own address. Programs on the planner's machine are reached by the organisation's
    webhook alone, which admins choose.
    """
    given = given.strip()
    match channel:
        case NoticeChannel.EMAIL:
            return "" if is_users else users.normalized_email(given, "address")
        case NoticeChannel.MISSIVE:
            found = _CONVERSATION.findall(given.lower())
            if not found:
                raise Invalid("address", n_("must be a conversation's link, or its id"))
            return str(found[-1])
    return _webhook(given, loopback=not is_users)


def _webhook(given: str, *, loopback: bool) -> str:
    try:
        address = urlsplit(given)
        host, _ = address.hostname or "", address.port
    except ValueError:
        host = ""
    is_plain = given.isascii() and given.isprintable() and " " not in given and len(given) <= LONGEST
    if not host or not is_plain or address.username is not None or address.scheme not in ("http", "https"):
        raise Invalid("address", n_("must be an https:// address"))
    here = is_loopback(host)
    if here and not loopback:
        raise Invalid("address", n_("must not be an address of this machine"))
    if address.scheme == "http" and not here:
        raise Invalid("address", n_("must be an https:// address"))
    return given
