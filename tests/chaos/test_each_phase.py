"""The worst that can happen to each server, in every phase of a broadcast."""

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
@pytest.mark.parametrize("kind", ["broker_wiped", "database_crash"])
async def test_a_server_that_loses_all_that_it_may_lose_costs_less_than_a_minute(stack: local.Stack, kind: str) -> None:
    """The broker loses its disk; PostgreSQL, which may lose nothing that was committed, is ended by `immediate`."""
    faults = [Fault(at=0.1 * place, kind=kind, phase=phase) for place, phase in enumerate(PHASES)]
    conditions = rig.Conditions(seed=1, faults=faults, texts=2 * PEOPLE, recipients=PEOPLE, overlap=1, rate=20)
    result = await rig.run(stack, conditions, print)
    assert (result.twice, result.lost, result.after_stop, result.over_pace) == ([], [], [], [])
    assert result.faults == {kind: len(PHASES)}
    assert result.recover_worst is not None
    assert result.recover_worst < A_MINUTE
