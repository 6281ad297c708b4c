"""Our own numbers, and what comes to them: what a person is to know of whether both work."""

from typing import Any

from libs.common.database import Connection
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk.waits import CARRIERS
from services.api.numbers import health, register
from services.api.webhooks import sources
from services.api.webhooks.sources import Source

#: Who sends webhooks, and what they tell.
SOURCES = {
    "missive": n_("Missive (replies)"),
    "twilio_sms": n_("Twilio (replies)"),
    "twilio_status": n_("Twilio (delivery reports)"),
}


async def values(connection: Connection, api: Context) -> dict[str, Any]:
    """Return what a page says of our numbers, and of what comes to them."""
    settings = api.settings
    heard = {each.name: each for each in await sources.everything(connection)}
    secrets = {
        "missive": settings.missive_webhook_secret,
        "twilio_sms": settings.twilio_auth_token,
        "twilio_status": settings.twilio_auth_token,
    }
    # Without its secret everything from a source is refused: it is not set up, which is worth a line if it is heard all
    # the same.
    known = [name for name in SOURCES if secrets[name].get_secret_value() or name in heard]
    return {
        "carriers": CARRIERS,
        "numbers": await register.everything(connection, settings, api.clock()),
        "sources": [heard.get(name, Source(name)) for name in known],
        "source_names": SOURCES,
        "last_reply_at": await health.last_reply_at(connection),
    }
