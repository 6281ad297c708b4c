"""The worst that can happen to each server, in every phase of a broadcast."""

from collections import Counter

import pytest

from libs import local
from tests.chaos import rig
from tests.chaos.plan import Fault

# aio-pika leaves a coroutine of its own behind when its broker is ended in the middle of something.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PHASES = ("sending_first", "waiting", "sending_second", "syncing")
PEOPLE = 60
A_MINUTE = 60.0  # seconds


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("carrier", "kinds"), [("missive", ("broker_wiped",)), ("twilio", ("database_crash", "queues_deleted"))]
)
async def test_a_server_that_loses_all_that_it_may_lose_costs_less_than_a_minute(
    stack: local.Stack, carrier: str, kinds: tuple[str, ...]
) -> None:
    """The broker loses its disk, or its queues; PostgreSQL, which may lose nothing that it has, is ended at once."""
    moments = enumerate((kind, phase) for kind in kinds for phase in PHASES)
    faults = [Fault(at=0.1 * place, kind=kind, phase=phase) for place, (kind, phase) in moments]
    conditions = rig.Conditions(
        seed=1, faults=faults, messages=2 * PEOPLE, recipients=PEOPLE, overlap=1, rate=20, carrier=carrier
    )
    result = await rig.run(stack, conditions, print)
    assert (result.twice, result.lost, result.after_stop, result.over_pace) == ([], [], [], [])
    assert result.faults == dict.fromkeys(kinds, len(PHASES))
    assert Counter(result.struck) >= Counter(dict.fromkeys(PHASES, len(kinds)))
    assert set(result.recover) == {"sending", "waiting", "syncing"}
    assert result.recover_worst is not None
    assert result.recover_worst < A_MINUTE
