"""A short run of the rig, with every protection in place. Longer ones are `make chaos`."""

import os

import pytest

from libs import local
from tests.chaos import plan, rig

pytestmark = pytest.mark.skipif("BROADSHEET_CHAOS" not in os.environ, reason="minutes of faults: make test-chaos")

SEED = 20
FAULTS = 25
TEXTS = 300


@pytest.mark.timeout(400)
async def test_nothing_is_sent_twice_or_lost_or_after_stop_whatever_breaks(stack: local.Stack) -> None:
    faults = plan.plan(SEED, FAULTS, spacing=0.8)
    conditions = rig.Conditions(seed=SEED, faults=faults, texts=TEXTS, recipients=80)
    result = await rig.run(stack, conditions, print)
    assert (result.twice, result.lost, result.after_stop, result.over_pace, result.other) == ([], [], [], [], [])
    assert result.planned >= TEXTS
    assert sum(result.faults.values()) >= FAULTS - 3
