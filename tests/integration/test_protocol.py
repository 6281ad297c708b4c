"""The attempt protocol, checked small: a machine tries orders of events, over the real SQL, that nobody thought of.

`make test` tries a few, always the same. For more, and others each time:
`BROADSHEET_EXAMPLES=2000 make test ARGS="-k every_order -n 0"`. A machine that finds nothing proves little unless it
finds what is there: `test_protocol_can_fail.py` takes out one protection at a time.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.support import servers
from tests.support.protocol.machine import machine, profile
from tests.support.protocol.stage import Stage

EXAMPLES = int(os.environ.get("BROADSHEET_EXAMPLES", "0"))
A_FEW = 25


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with servers.database() as url:
        stage = Stage(url)
        yield stage
        stage.close()


@pytest.mark.timeout(0)
def test_whatever_happens_in_every_order_that_was_tried_nobody_gets_a_message_twice_or_not_at_all(stage: Stage) -> None:
    run_state_machine_as_test(machine(stage), settings=profile(EXAMPLES or A_FEW, derandomize=not EXAMPLES))
