"""Faults on request: which request gets which, and how often. What a fault does stands where it happens."""

from collections.abc import Callable
from typing import Literal

import msgspec

from libs.simulator.handsets import draw

Carrier = Literal["missive", "twilio"]
On = Literal["send", "message", "label", "log", "webhook"]
Kind = Literal[
    "rate_limited",
    "error_before",
    "error_after",
    "cut_before",
    "cut_after",
    "slow",
    "never_handed_over",
    "log_unreadable",
    "log_lag",
    "log_frozen",
    "shift_pages",
    "skip_entries",
    "repeat",
    "drop",
]

ANSWER_KINDS: tuple[Kind, ...] = ("rate_limited", "error_before", "error_after", "cut_before", "cut_after", "slow")
LOG_KINDS: tuple[Kind, ...] = ("log_unreadable", "log_lag", "log_frozen", "shift_pages", "skip_entries")
WEBHOOK_KINDS: tuple[Kind, ...] = ("slow", "repeat", "drop")


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """One fault: its kind, whom it hits, how often, and its measures."""

    kind: Kind
    on: On | None = None
    carrier: Carrier | None = None
    to: str | None = None
    skip: int = 0
    every: int = 1
    count: int | None = None
    #: Seconds from its arming on for which it is in force; None: until it is ended.
    lasts: float | None = None
    probability: float = 1.0
    retry_after: int = 1
    seconds: float = 1.0
    status: int = 500
    entries: int = 1
    #: Whether errors are a gateway's page, not the carrier's JSON.
    html: bool = False
    #: When it was put in force; whoever asks for one need not say.
    at: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1 or self.skip < 0 or self.entries < 1 or self.seconds < 0 or (self.lasts or 0.0) < 0:
            raise ValueError("every and entries start at 1, skip, seconds and lasts at 0")
        if self.place not in _places(self.kind):
            raise ValueError(f"{self.kind} does not go on {self.place}")

    @property
    def place(self) -> On:
        """Where it happens: as asked, else where its kind usually does."""
        return self.on or _places(self.kind)[0]


def _places(kind: Kind) -> tuple[On, ...]:
    places: list[On] = []
    if kind in ANSWER_KINDS:
        places += ["send", "message", "log", "label"]
    if kind == "never_handed_over":
        places += ["send"]
    if kind in LOG_KINDS:
        places += ["log"]
    if kind in WEBHOOK_KINDS:
        places += ["webhook"]
    return tuple(places)


class Faults:
    """The faults that are in force, and what each has seen and done."""

    def __init__(self, seed: int, now: Callable[[], float]) -> None:
        self._seed = seed
        self._now = now
        self._armed: list[_Armed] = []
        self._count = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force and give its number."""
        self._count += 1
        self._armed.append(_Armed(msgspec.structs.replace(fault, at=self._now()), self._count))
        return self._count

    def clear(self) -> None:
        """End all faults."""
        self._armed.clear()

    def report(self) -> list[dict[str, object]]:
        """Return each fault with how many requests it saw, how often it fired, and when first."""
        return [
            {**msgspec.to_builtins(a.fault), "n": a.number, "seen": a.seen, "fired": a.fired, "fired_at": a.fired_at}
            for a in self._armed
        ]

    def find(
        self,
        on: On,
        kinds: tuple[Kind, ...],
        *,
        carrier: str,
        to: str | None = None,
        when: Callable[[Fault], bool] = lambda _: True,
    ) -> Fault | None:
        """Return the fault that hits this request, if any does, and count it; `when` tells which can."""
        now = self._now()
        for armed in self._armed:
            fault = armed.fault
            matches = (
                fault.kind in kinds
                and fault.place == on
                and fault.carrier in (None, carrier)
                and fault.to in (None, to)
                and (fault.lasts is None or now < fault.at + fault.lasts)
            )
            if matches and when(fault) and armed.fires(self._seed, now):
                return fault
        return None


class _Armed:
    def __init__(self, fault: Fault, number: int) -> None:
        self.fault = fault
        self.number = number
        self.seen = 0
        self.fired = 0
        self.fired_at: float | None = None

    def fires(self, seed: int, now: float) -> bool:
        self.seen += 1
        place = self.seen - self.fault.skip
        if place < 1 or place % self.fault.every:
            return False
        if self.fault.count is not None and self.fired >= self.fault.count:
            return False
        if draw(seed, "fault", self.number, self.seen) >= self.fault.probability:
            return False
        self.fired += 1
        self.fired_at = self.fired_at or now
        return True
