"""Missive's rate limits, counted over sliding windows: the strictest reading of what it publishes.

5 requests at once, 300 a minute, 900 in 15 minutes, over all requests of a token, reading included; beyond that 429
with Retry-After and X-RateLimit-Limit, -Remaining and -Reset
(https://missiveapp.com/docs/developers/rest-api/rate-limits). A request that is turned away does not count.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

from libs.simulator.config import Limits


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what the headers say of it."""

    allowed: bool
    headers: dict[str, str]


class Limiter:
    """Counts one carrier's requests."""

    def __init__(self) -> None:
        self._passed: list[float] = []

    def check(self, limits: Limits, *, concurrent: int, now: float) -> Verdict:
        """Judge a request that comes now; `concurrent` counts it and those not yet answered."""
        tightest: tuple[int, int, float] | None = None
        for ceiling, seconds in limits.windows:
            first = bisect_right(self._passed, now - seconds)
            used = len(self._passed) - first
            if used >= ceiling:
                # There is room again when so many have left the window that one more fits in.
                leaving = self._passed[len(self._passed) - ceiling] if ceiling else now
                return _refused(ceiling, leaving + seconds - now, now)
            if tightest is None or ceiling - used - 1 < tightest[1]:
                oldest = self._passed[first] if used else now
                tightest = (ceiling, ceiling - used - 1, oldest + seconds)
        if limits.concurrent and concurrent > limits.concurrent:
            return _refused(limits.concurrent, 1.0, now)
        self._passed.append(now)
        return Verdict(allowed=True, headers={} if tightest is None else _headers(*tightest))


def _headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(reset)),
    }


def _refused(limit: int, wait: float, now: float) -> Verdict:
    seconds = max(1, math.ceil(wait))
    return Verdict(allowed=False, headers={"Retry-After": str(seconds), **_headers(limit, 0, now + wait)})
