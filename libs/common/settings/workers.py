"""What planner, sender and twilio_sync need besides."""

import math
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from libs.common.settings import checks
from libs.common.settings.base import Settings
from libs.common.settings.fields import SECONDS, Port, Unit
from libs.common.settings.names import PREFIX

#: Batches of a phase under way at once: while one waits for its last answers, the other uses the pace.
BATCHES_IN_FLIGHT = 2


class WorkerSettings(Settings):
    """What planner, sender and twilio_sync need besides."""

    amqp_url: Annotated[SecretStr, checks.secret(checks.amqp_url)]
    """RabbitMQ, `amqp://…` or `amqps://…`; of a cluster one URL a node, with commas between them."""

    delays: Literal["auto", "plugin", "ladder"] = "auto"
    """How later steps are delayed: by the broker's plugin, a ladder of queues, or whichever the broker has."""

    batch_size: Annotated[int, Field(ge=1, le=1000), Unit("messages")] = 50
    """The largest batch that a sender takes."""

    batch_seconds: Annotated[float, Field(gt=0, le=600), SECONDS] = 60.0
    """The longest that a batch may take."""

    sync_interval: Annotated[float, Field(gt=0, le=86_400), SECONDS] = 60.0
    """The time between two passes over Twilio's log."""

    sync_page_size: Annotated[int, Field(ge=1, le=1000), Unit("entries")] = 100
    """How much of Twilio's log is read at a time."""

    sync_deadline: Annotated[float, Field(gt=0, le=31_536_000), SECONDS] = 86_400.0
    """How long after its last message a broadcast waits for final statuses."""

    settle_after: Annotated[float, Field(gt=0, le=86_400), SECONDS] = 120.0
    """How long a message without an answer waits before it is looked up in Twilio's log: more than twice
    `BROADSHEET_LEASE` and `BROADSHEET_REQUEST_TIMEOUT` together. By how much it is more is the time that Missive has to
    hand a message over to Twilio."""

    max_attempts: Annotated[int, Field(ge=1, le=10), Unit("attempts")] = 3
    """How often a message is tried that the carrier refuses for now."""

    request_timeout: Annotated[float, Field(gt=0, le=60), SECONDS] = 15.0
    """How long one request to a carrier may take."""

    lease: Annotated[float, Field(gt=0.5, le=90), SECONDS] = 15.0
    """How long a worker that does not stir keeps its batch; a sender that was stopped for longer ends itself."""

    watchdog_interval: Annotated[float, Field(gt=0, le=3600), SECONDS] = 5.0
    """The time between two looks of the watchdog, and how late a step may be before it is emitted again."""

    health_host: Annotated[str, AfterValidator(checks.host)] = "127.0.0.1"
    """The address of a worker's health and metrics; the API serves its own."""

    health_port: Port = 8001
    """The port of a worker's health and metrics."""

    @model_validator(mode="after")
    def _settling_waits_for_every_worker(self) -> "WorkerSettings":
        # A worker looks whether it may still send for the last time `lease` after the attempt began. Stopped right
        # then, it may write its request until its alarm ends it, almost another `lease` later, and the carrier may take
        # `request_timeout` over it; Missive hands it on to Twilio later still. Only then may a message that is not in
        # the log count as never sent, and only if the log shows something newer
        # (`libs/common/carriers/log_evidence.py`).
        if self.settle_after <= 2 * self.lease + self.request_timeout:
            raise ValueError(f"{PREFIX}SETTLE_AFTER must be more than 2 * {PREFIX}LEASE + {PREFIX}REQUEST_TIMEOUT")
        return self

    @cached_property
    def batch_messages(self) -> int:
        """How many messages a batch claims of a number that has the settings' rate."""
        return self.batch_messages_at(self.send_rate)

    def batch_messages_at(self, rate: float) -> int:
        """Return how many messages a batch claims: no more than its share of a pace lets it send in its time."""
        return max(1, min(self.batch_size, math.ceil(self.batch_seconds * rate / BATCHES_IN_FLIGHT)))
