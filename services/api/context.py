"""What every handler works with, and who waits for whom at the end."""

import asyncio
from dataclasses import dataclass, field

from libs.common.broadcasts.making import Schedule
from libs.common.carriers.clock_records import Reader
from libs.common.clock import Clock
from libs.common.database import Engine
from libs.common.database.probe import Probe
from libs.common.settings.api import ApiSettings
from services.api.accounts.passwords import Passwords
from services.api.accounts.provider import Provider
from services.api.background import Background
from services.api.broadcasts.hub import Hub
from services.api.contacts.import_lane import Lane
from services.api.webhooks.sources import Noted


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The API's connections and settings. Handlers get it as `api`."""

    settings: ApiSettings
    engine: Engine
    #: For what may take minutes: making a broadcast.
    long_work: Engine
    probe: Probe
    #: The carriers' webhooks have connections of their own: no reply waits for whoever imports, draws or looks.
    webhooks: Engine
    #: Imports have theirs, and a lane.
    imports: Engine
    import_lane: Lane
    clock: Clock
    schedule: Schedule
    #: The time that Missive gives a reply is by its own clock.
    missive_clock: Reader
    #: Who follows broadcasts in this process.
    hub: Hub
    #: Set when the process is to end: streams that would go on for ever end.
    stopping: asyncio.Event
    #: Where people sign in by OpenID Connect; None where they do not.
    provider: Provider | None = None
    background: Background = field(default_factory=Background)
    #: When the carriers' webhooks came.
    webhook_sources: Noted = field(default_factory=Noted)
    passwords: Passwords = field(default_factory=Passwords)
