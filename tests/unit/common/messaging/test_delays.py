"""How the ladder spells a delay, and follows it."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode

from libs.common.messaging import delays, topology
from libs.common.messaging.delays import LONGEST, RUNGS, UNIT, ladder_key, pattern

COMMANDS = ("MakeBroadcast", "SendBatch", "StartSecondPhase")


def matches(binding: str, key: str) -> bool:
    """Return whether a topic binding takes a routing key (AMQP 0-9-1: `*` is one word, `#` any number)."""
    words, wanted = key.split("."), binding.split(".")
    assert "#" not in wanted[:-1]
    fixed = wanted[:-1] if wanted[-1] == "#" else wanted
    if wanted[-1] != "#" and len(words) != len(fixed):
        return False
    return len(words) >= len(fixed) and all(want in ("*", word) for want, word in zip(fixed, words, strict=False))


def held(key: str) -> tuple[float, int]:
    """Follow the patterns from the highest rung to the landing, by hand; give seconds held and rungs stopped at."""
    seconds, stops = 0.0, 0
    for rung in reversed(range(RUNGS)):
        here, on = (matches(pattern(rung, bit=bit), key) for bit in (1, 0))
        assert here != on, "each rung takes a message one way, never both"
        if here:
            seconds += delays.rung_queue(rung).arguments["x-message-ttl"] / 1000
            stops += 1
    return seconds, stops


@given(st.floats(min_value=0, max_value=LONGEST), st.sampled_from(COMMANDS))
def test_a_step_is_held_for_its_delay_rounded_up_to_the_unit(delay: float, command: str) -> None:
    seconds, _ = held(ladder_key(delay, command))
    assert delay - 1e-6 <= seconds < delay + UNIT + 1e-6


@given(st.integers(0, 2**RUNGS - 1))
def test_a_step_stops_once_for_each_bit_of_its_delay(units: int) -> None:
    key = ladder_key(units * UNIT, "SendBatch")
    seconds, stops = held(key)
    assert math.isclose(seconds, units * UNIT, abs_tol=1e-9)
    assert stops == units.bit_count()


@given(st.floats(min_value=0, max_value=LONGEST), st.sampled_from(COMMANDS))
def test_where_a_step_lands_its_key_still_says_which_queue_it_is_for(delay: float, command: str) -> None:
    assert [name for name in COMMANDS if ladder_key(delay, command).endswith(f".{name}")] == [command]


@pytest.mark.parametrize("delay", [-0.2, LONGEST + UNIT, 1e9])
def test_a_delay_that_the_ladder_cannot_hold_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="ladder"):
        ladder_key(delay, "SendBatch")


def test_each_rung_hands_on_to_the_next_lower_one_and_the_lowest_to_the_landing() -> None:
    below = [delays.rung_queue(rung).arguments["x-dead-letter-exchange"] for rung in range(RUNGS)]
    assert below == [delays.LANDING.name, *(delays.rung_exchange(rung).name for rung in range(RUNGS - 1))]


@pytest.mark.parametrize("milliseconds", [1, 127, 128, 255, 32_767, 65_535, 65_536, 300_000])
def test_a_delay_goes_over_the_wire_as_a_32_bit_integer_however_short_it_is(milliseconds: int) -> None:
    """As an int8, which RabbitMQ 4's plugin does not take, a step was delivered at once."""
    headers = dict(delays.address("plugin", "SendBatch", milliseconds / 1000).headers)
    table = encode.field_table({**headers})
    name = b"\x07x-delay"
    assert table[4:] == name + b"I" + struct.pack(">i", milliseconds)


def test_a_step_that_is_due_goes_straight_to_its_queue() -> None:
    for mode in ("plugin", "ladder"):
        assert delays.address(mode, "SendBatch", 0.0).exchange == topology.COMMANDS.name
