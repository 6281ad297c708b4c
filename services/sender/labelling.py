"""The label of a broadcast in Missive: looked for by its name before the first message, and made where there is none.

It is looked for each time before it is made: an answer that was lost makes no second one. Where Missive cannot be asked
the broadcast does not wait for long: its messages leave without the label, and the next batch asks again.
"""

import asyncio
import time
from datetime import datetime

import structlog

from libs.common import database
from libs.common.broadcasts import broadcast_labels, missive_room
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.http import Ready
from libs.common.carriers.missive import LABELS_A_PAGE, Missive
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings

log = structlog.stdlib.get_logger(__name__)

TRIES = 3
BETWEEN = 0.5  # seconds between two tries, or two looks at what another sender has found
PATIENCE = 20.0  # seconds that a batch waits for its label at most
WITHIN = 5.0  # seconds that a request waits for its slot
MOST_PAGES = 50  # of labels that are looked through

#: What Missive says where it would not make a label, however often it is asked.
REFUSED = (400, 403, 404, 422)

NO_ORGANIZATION = "no_organization"


class Labelling:
    """Knows the ids of labels by their names."""

    def __init__(self, worker: Worker, settings: CarrierSettings, missive: Missive | None) -> None:
        self._worker = worker
        self._settings = settings
        self._missive = missive

    async def ids(self, name: str) -> tuple[str, ...]:
        """Return the id of a label, by itself; nothing where there is to be none, or none can be had now."""
        if not name or self._missive is None:
            return ()
        tries, ends = 0, time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            now = self._worker.clock()
            async with database.transaction(self._worker.engine) as connection:
                known = await broadcast_labels.find(connection, name)
                if known is not None and known.holds(now):
                    return () if known.label_id is None else (known.label_id,)
                if tries == TRIES:
                    break
                is_to_ask = await broadcast_labels.ask(connection, name, now)
            if is_to_ask:
                tries += 1
                await self._look_up(self._missive, name, now)
            if not is_to_ask or tries > 1:
                await asyncio.sleep(BETWEEN)
        log.warning("label_not_had")
        return ()

    async def _look_up(self, missive: Missive, name: str, now: datetime) -> None:
        """Ask Missive for a label, have it made where there is none, and note what came of it."""
        label_id, fault = None, None
        try:
            if self._settings.missive_organization:
                label_id = await self._find(missive, name) or await self._make(missive, name)
            else:
                fault = NO_ORGANIZATION
        except CarrierUnreadable as error:
            log.warning("label_unreadable", code=error.code)
            if error.http_status not in REFUSED:
                async with database.transaction(self._worker.engine) as connection:
                    await broadcast_labels.give_up(connection, name, error.code)
                return
            fault = error.code
        async with database.transaction(self._worker.engine) as connection:
            await broadcast_labels.found(connection, name, label_id, fault, now)

    async def _find(self, missive: Missive, name: str) -> str | None:
        for page in range(MOST_PAGES):
            async with missive_room.room(self._worker.engine, self._settings, within=WITHIN) as ready:
                listed = await missive.labels(offset=page * LABELS_A_PAGE, ready=_given(ready))
            for each in listed:
                if each.name.casefold() == name.casefold():
                    return each.id
            if len(listed) < LABELS_A_PAGE:
                break
        return None

    async def _make(self, missive: Missive, name: str) -> str:
        async with missive_room.room(self._worker.engine, self._settings, within=WITHIN) as ready:
            return await missive.make_label(name, ready=_given(ready))


def _given(ready: Ready | None) -> Ready:
    if ready is None:
        raise CarrierUnreadable("There was no room for the request")
    return ready
