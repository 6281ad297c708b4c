"""What every handler works with, and who waits for whom at the end."""

import asyncio
from dataclasses import dataclass, field

from libs.common.clock import Clock
from libs.common.database import Pool
from libs.common.making import Schedule
from libs.common.settings import ApiSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The API's connections and settings. Handlers get it as `api`."""

    settings: ApiSettings
    pool: Pool
    clock: Clock
    schedule: Schedule
    #: Set when the process is to end: streams that would go on for ever end.
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
