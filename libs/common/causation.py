"""Which message a piece of work belongs to: every event and message that it makes says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Where work comes from."""

    #: The same for everything that follows from one request or timer.
    correlation_id: UUID
    #: The message handled now; None where a person or the clock began it.
    causation_id: UUID | None = None


_current: ContextVar[Cause | None] = ContextVar("cause", default=None)


def current() -> Cause:
    """Give the cause of the work under way; a new one where nothing named it."""
    return _current.get() or Cause(correlation_id=uuid4())


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """Name the cause of what is done in the block, for events, messages and logs."""
    token = _current.set(cause)
    try:
        names = {"correlation_id": str(cause.correlation_id)}
        if cause.causation_id is not None:
            names["causation_id"] = str(cause.causation_id)
        with structlog.contextvars.bound_contextvars(**names):
            yield
    finally:
        _current.reset(token)
