"""The rig is worth something only if it can fail: without one of the protections it finds what that one prevents."""

import pytest

from libs import local
from tests.chaos import rig
from tests.chaos.plan import Fault, directed
from tests.chaos.report import Result

pytestmark = [
    pytest.mark.timeout(400),
    # aio-pika leaves a coroutine of its own behind when its broker is ended in the middle of something.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PEOPLE = 60


async def broken(stack: local.Stack, protection: str, *faults: Fault) -> Result:
    """Do a short run without a protection."""
    conditions = rig.Conditions(
        seed=1, faults=faults, texts=2 * PEOPLE, recipients=PEOPLE, overlap=1, broken=protection, rate=30, patience=15
    )
    return await rig.run(stack, conditions, print)


async def test_without_the_fence_texts_are_sent_twice(stack: local.Stack) -> None:
    faults = directed(
        (0.1, "slow", "", 1.0, 20),
        (0.5, "duplicate", "", 0.0, 10),
        (1.0, "duplicate", "", 0.0, 10),
        (1.5, "kill", "sender1", 0.0, 1),
        (1.6, "kill", "sender2", 0.0, 1),
        (2.0, "duplicate", "", 0.0, 10),
        (2.5, "duplicate", "", 0.0, 10),
        (4.0, "duplicate", "", 0.0, 10),
    )
    result = await broken(stack, "fence", *faults)
    assert result.twice


async def test_without_the_settling_texts_are_sent_twice(stack: local.Stack) -> None:
    # The last one does no harm: after it whatever is still wrong ends, such as what the carrier was told to do.
    faults = directed(
        (0.1, "cut_after", "", 0.0, 6), (0.2, "error_after", "", 0.0, 6), (4.0, "webhook_twice", "", 0.0, 1)
    )
    result = await broken(stack, "settling", *faults)
    assert result.twice


async def test_without_the_outbox_texts_are_lost(stack: local.Stack) -> None:
    faults = directed(*((at, "queues_deleted", "", 0.0, 1) for at in range(1, 9)))
    result = await broken(stack, "outbox", *faults)
    assert result.lost
    assert not result.twice
