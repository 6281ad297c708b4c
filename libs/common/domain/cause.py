"""Where work comes from: every event and message that it makes says so."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from libs.common.domain.actors import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a piece of work follows from. A transaction carries it (`database.transaction`)."""

    #: The same for everything that follows from one request or timer.
    correlation_id: UUID = field(default_factory=uuid4)
    #: The message handled now; None where a person or the clock began it.
    causation_id: UUID | None = None
    #: Who sent the request; None where it is the service itself.
    actor: Actor | None = None
