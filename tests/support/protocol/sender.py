"""A worker as its process is: what it has in mind, and whether it was stopped."""

from dataclasses import dataclass, field
from datetime import datetime

from services.sender.batches import Batch
from tests.support.protocol.carrier import Ask


@dataclass(eq=False, slots=True)
class Sender:
    """What a worker's process has in its memory."""

    batch: Batch | None = None
    started: int = 0
    asks: list[Ask] = field(default_factory=list)
    stopped_at: datetime | None = None

    def dies(self) -> None:
        self.batch, self.started, self.asks, self.stopped_at = None, 0, [], None
