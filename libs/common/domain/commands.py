"""What is asked for, in the imperative. Each is a step that may come twice, late or never; the handler copes."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeBroadcast:
    """Fix the recipients of a scheduled broadcast: its `run_at` has come."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBatch:
    """Send the next batch of a phase."""

    broadcast_id: int
    #: The row of `batches` that this step was planned as; a batch that is closed does nothing.
    batch_id: UUID
    is_second: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSecondPhase:
    """Begin the follow-ups: the delay after the last first message is over."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatuses:
    """Read one page of the carrier's log."""

    broadcast_id: int
    #: The pass that this step was planned as; one that is over does nothing. None asks for a pass by hand.
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleUncertain:
    """Look up in the carrier's log what became of the messages whose answer was lost."""

    broadcast_id: int
    #: The look that this step was planned as; it does nothing if the broadcast is at another. None asks for a look by
    #: hand, which takes the place of what is planned.
    number: int | None = None


Command = MakeBroadcast | SendBatch | StartSecondPhase | SyncStatuses | SettleUncertain
COMMANDS: tuple[type[Command], ...] = (MakeBroadcast, SendBatch, StartSecondPhase, SyncStatuses, SettleUncertain)
