"""The carrier's answers, put on record whatever happens meanwhile: one that is lost leaves a message uncertain."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from libs.common import database
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Unknown
from libs.common.domain.cause import Cause
from libs.common.messaging import consumer
from libs.common.observability import telemetry
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.sender import outcomes
from services.sender.batches import StartedAttempt

log = structlog.stdlib.get_logger(__name__)

KEEP_ANSWER = 120.0  # seconds for which an answer is held while the database is away

T = TypeVar("T")


async def keep(record: Callable[[Outcome], Awaitable[T]], outcome: Outcome, **about: object) -> T | None:
    """Record an answer by `record`, again and again while the database is away; return what that returns.

    None, and nothing on record, where it is away for `KEEP_ANSWER` seconds. `about` names the message in the log.
    """
    give_up, wait = time.monotonic() + KEEP_ANSWER, 0.05
    while True:
        try:
            return await record(outcome)
        except database.NotUnique:
            if not isinstance(outcome, Accepted) or outcome.twilio_id is None:
                raise
            # Another message was taken for the entry of this one. That it was sent is certain; whose entry it is, is
            # not.
            log.warning("sid_is_known", **about)
            outcome = replace(outcome, twilio_id=None)
        except consumer.TRANSIENT as error:
            if time.monotonic() > give_up:
                log.error("answer_lost", error=type(error).__name__, **about)  # noqa: TRY400
                return None
            await asyncio.sleep(wait)
            wait = min(2.0, wait * 2)


class AnswerRecorder:
    """Records answers, and what follows from them."""

    def __init__(self, worker: Worker, settings: CarrierSettings) -> None:
        self._worker = worker
        self._settings = settings

    async def record(
        self, started: StartedAttempt, outcome: Outcome, cause: Cause, permits: list[int], *, carrier: str
    ) -> str:
        """Record an answer, trying again while the database is away: an answer is worth keeping. Return its name.

        `permits` are those that the request still has; an acceptance frees them, and takes them out of the list.
        """
        message_id = started.attempt.message_id
        what = await keep(
            lambda known: self._record_once(started, known, cause, permits, carrier), outcome, message_id=message_id
        )
        if what is None:
            return "lost"
        telemetry.MESSAGES.labels(what.outcome).inc()
        if isinstance(outcome, Deferred | Unknown):
            log.warning("message_not_taken", message_id=message_id, outcome=what.outcome, why=outcome.reason)
        return what.outcome

    async def _record_once(
        self, started: StartedAttempt, outcome: Outcome, cause: Cause, permits: list[int], carrier: str
    ) -> outcomes.Effect:
        engine, now = self._worker.engine, self._worker.clock()
        if isinstance(outcome, Accepted) and outcome.wait is None:
            what = await outcomes.record_acceptance(
                engine, cause, started, outcome, carrier=carrier, permits=permits, now=now
            )
            permits.clear()
            return what
        async with database.transaction(engine, cause) as connection:
            return await outcomes.record(
                connection, started, outcome, carrier=carrier, max_attempts=self._settings.max_attempts, now=now
            )
