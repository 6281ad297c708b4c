"""Counters of what may not happen for months. They begin at 0: from nothing to 1 is no increase to Prometheus."""

from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from libs.common.domain.events import EVENTS
from libs.common.domain.states import ConsentSource
from libs.common.observability import telemetry


def begin_at_zero() -> None:
    """Have this process expose each value of the counters that all services share."""
    for event in EVENTS:
        telemetry.EVENTS.labels(event.__name__)
    for source in ConsentSource:
        telemetry.OPT_OUTS.labels(source)
    for command in (SendBatch, SyncStatuses, SettleUncertain):
        telemetry.REEMITTED.labels(command.__name__)
