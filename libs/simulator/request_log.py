"""Every request there was, and how close together they came: what a pace is judged by."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

SEND_KINDS = ("missive_send", "twilio_send")
PEAKS = {"1s": 1.0, "60s": 60.0, "900s": 900.0}


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """One request to a carrier."""

    n: int
    kind: str
    method: str
    path: str
    at: float
    #: Requests to the same carrier not yet answered, this one included.
    concurrent: int
    to: str | None = None
    answered_at: float | None = None
    #: None: never answered, since the connection was cut or the client left.
    status: int | None = None
    #: The carrier's own code for an error; Missive has none.
    code: int | None = None
    fault: str | None = None
    #: Turned away by a limit (not by a fault).
    violation: bool = False


class RequestLog:
    """All requests, in order."""

    def __init__(self) -> None:
        self.all: list[LoggedRequest] = []
        self._open: Counter[str] = Counter()

    def begin(self, *, carrier: str, kind: str, method: str, path: str, at: float) -> LoggedRequest:
        """Enter a request that has just come in."""
        self._open[carrier] += 1
        request = LoggedRequest(
            n=len(self.all) + 1, kind=kind, method=method, path=path, at=at, concurrent=self._open[carrier]
        )
        self.all.append(request)
        return request

    def end(self, request: LoggedRequest, *, carrier: str, at: float) -> None:
        """Note that a request is over: its answer is on its way, or nobody waits for it."""
        self._open[carrier] -= 1
        request.answered_at = at

    def report(self, *, kind: str | None, listed: bool) -> dict[str, Any]:
        """Return the requests of a kind (of all, without one) and their sums."""
        chosen = [request for request in self.all if kind in (None, request.kind)]
        sends = [request.at for request in chosen if request.kind in SEND_KINDS]
        report: dict[str, Any] = {
            "totals": {
                "requests": len(chosen),
                "violations": sum(request.violation for request in chosen),
                "kinds": dict(Counter(request.kind for request in chosen)),
                "statuses": dict(Counter(str(request.status) for request in chosen)),
                "peak": {
                    "concurrent": max((request.concurrent for request in chosen), default=0),
                    **{name: most_within(sends, seconds) for name, seconds in PEAKS.items()},
                },
            }
        }
        if listed:
            report["requests"] = [asdict(request) for request in chosen]
        return report


def most_within(times: list[float], seconds: float) -> int:
    """Count the most that fell into any `seconds`; `times` do not go backwards."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
