"""The rig is worth something only if it can fail: without one of the protections it finds what that one prevents."""

import time
from random import Random
from typing import Any

import pytest

from libs import local
from tests.chaos import rig
from tests.chaos.plan import SETTLE_AFTER, Fault, directed
from tests.chaos.report import Result
from tests.chaos.silences import Clocks

pytestmark = [
    pytest.mark.timeout(400),
    # aio-pika leaves a coroutine of its own behind when its broker is ended in the middle of something.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PEOPLE = 60
#: A seed with which Twilio's clock is seconds behind ours.
BEHIND = 2


async def broken(
    stack: local.Stack,
    protection: str,
    *faults: Fault,
    seed: int = 1,
    rate: float = 30,
    patience: float = 10,
    **others: Any,
) -> Result:
    """Do a short run without a protection; without some of them it never ends, and `patience` is waited out."""
    conditions = rig.Conditions(
        seed=seed,
        faults=faults,
        messages=2 * PEOPLE,
        recipients=PEOPLE,
        overlap=1,
        broken=protection,
        rate=rate,
        patience=patience,
        **others,
    )
    return await rig.run(stack, conditions, print)


async def test_without_the_fence_messages_are_sent_twice(stack: local.Stack) -> None:
    # A sender that does not reach the database loses its batches to another, and goes on when it does.
    pairs = ((0.5, 1, 2), (5.5, 2, 3), (10.5, 3, 1))
    holes = [(at, "swallow", f"database/sender{number}", 4.5, 1) for at, *two in pairs for number in two]
    result = await broken(stack, "fence", *directed(*holes), rate=8)
    assert result.twice


async def test_without_the_settling_messages_are_sent_twice(stack: local.Stack) -> None:
    # The last one does no harm: after it whatever is still wrong ends, such as what the carrier was told to do.
    faults = directed(
        (0.1, "cut_after", "", 0.0, 6), (0.2, "error_after", "", 0.0, 6), (4.0, "webhook_twice", "", 0.0, 1)
    )
    result = await broken(stack, "settling", *faults)
    assert result.twice


@pytest.mark.parametrize("carrier", ["missive", "twilio"])
async def test_a_log_that_stands_still_is_not_believed_on_the_word_of_its_own_broadcast(
    stack: local.Stack, carrier: str
) -> None:
    # All answers are lost for a while, and nothing that left since is in the log: there is nobody to bear witness.
    faults = directed(
        (0.1, "silence_at_the_start", "", 3 * SETTLE_AFTER, 1), (5 * SETTLE_AFTER, "webhook_twice", "", 0.0, 1)
    )
    result = await broken(stack, "witness", *faults, carrier=carrier)
    assert result.twice


async def test_with_a_carrier_whose_clock_is_behind_messages_are_sent_twice_unless_it_is_measured(
    stack: local.Stack,
) -> None:
    assert Clocks(Random(f"clocks of {BEHIND}"), time.time).read("twilio")["offset"] < -4
    faults = directed((0.1, "cut_after", "", 0.0, 6), (3 * SETTLE_AFTER, "webhook_twice", "", 0.0, 1))
    result = await broken(stack, "clocks", *faults, seed=BEHIND)
    assert result.twice


async def test_without_the_outbox_messages_are_lost(stack: local.Stack) -> None:
    faults = directed(*((at, "queues_deleted", "", 0.0, 1) for at in range(1, 9)))
    result = await broken(stack, "outbox", *faults)
    assert result.lost
    assert not result.twice


async def test_a_third_more_than_the_pace_is_too_fast(stack: local.Stack) -> None:
    # Slow enough for any machine to go a third faster.
    result = await broken(stack, "pace", rate=4, patience=90)
    assert result.over_pace
    assert not result.twice + result.lost + result.after_stop


async def test_without_a_look_at_what_people_wrote_they_are_texted_after_it(stack: local.Stack) -> None:
    result = await broken(stack, "consent", patience=90, handsets={"stop": 0.3, "reply": 0.3})
    assert any("opt-out" in finding for finding in result.after_stop)
    assert any("reply" in finding for finding in result.after_stop)
    assert not result.twice + result.lost
