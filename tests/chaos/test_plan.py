"""The plan is a function of the seed, and asks for nothing that cannot be done."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from tests.chaos.fault_injection import CARRIER, Breaker
from tests.chaos.plan import KINDS, LONGEST_HOLE, SERVICES, USERS, Fault, kinds_of, more, plan
from tests.chaos.rig import LEASE, REQUEST_TIMEOUT, SETTINGS
from tests.chaos.silences import ACTS, CARRIERS, FURTHEST, OFF, Clocks


def faults() -> Iterator[Fault]:
    for seed in range(20):
        yield from plan(seed, 100, spacing=1.0)


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert plan(7, 50, spacing=1.0) == plan(7, 50, spacing=1.0)
    assert plan(7, 50, spacing=1.0) != plan(8, 50, spacing=1.0)


def test_every_kind_occurs_where_there_are_faults_enough() -> None:
    assert {fault.kind for fault in plan(3, len(KINDS), spacing=1.0)} == set(KINDS)
    assert len(plan(3, 5, spacing=1.0)) == 5


def test_twilio_is_not_told_to_do_what_only_missive_can() -> None:
    assert set(KINDS) - set(kinds_of("twilio")) == {"never_handed_over"}
    assert set(kinds_of("missive")) == set(KINDS)


def test_faults_come_in_order_and_as_far_apart_as_asked() -> None:
    times = [fault.at for fault in plan(1, 1000, spacing=2.0)]
    assert times == sorted(times)
    assert 1900 < times[-1] < 2100


def test_there_are_always_more_faults_for_those_that_hit_nothing() -> None:
    kinds = {name: KINDS[name] for name in ("kill", "cut")}
    extra = list(islice(more(7, spacing=1.0, kinds=kinds), 50))
    assert {fault.kind for fault in extra} == set(kinds)
    assert all(0.5 <= fault.at <= 1.5 for fault in extra)
    assert extra == list(islice(more(7, spacing=1.0, kinds=kinds), 50))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made(kind: str) -> None:
    assert kind in CARRIER or kind in ACTS or hasattr(Breaker, f"_{kind}")


def test_targets_exist() -> None:
    for fault in faults():
        link, _, user = fault.target.partition("/")
        known = ("", *SERVICES, *CARRIERS)
        assert fault.target in known or (link in USERS and user in ("", *USERS[link]))


def test_what_is_swallowed_arrives_before_its_message_is_settled() -> None:
    latest = 2 * LEASE + LONGEST_HOLE["carrier"] + 0.5
    assert latest < float(str(SETTINGS["SETTLE_AFTER"]))
    assert LONGEST_HOLE["carrier"] < REQUEST_TIMEOUT


def test_stops_are_shorter_or_longer_than_the_lease() -> None:
    for fault in faults():
        if fault.kind == "stop_briefly":
            assert fault.seconds < LEASE
        elif fault.kind == "stop_past_the_lease":
            assert fault.seconds > LEASE


def test_a_silence_of_the_log_is_2_to_10_times_as_long_as_messages_wait_to_be_settled() -> None:
    silences = [fault for fault in faults() if fault.kind.startswith("silence")]
    assert {fault.kind for fault in silences} == set(ACTS) - {"clock_drifts"}
    for fault in silences:
        assert 2 <= fault.seconds / float(str(SETTINGS["SETTLE_AFTER"])) <= 10


def test_clocks_are_off_either_way_and_drift_without_a_jump() -> None:
    now, offsets = [0.0], set()
    for seed in range(20):
        now[0] = 0.0
        clocks = Clocks(Random(seed), lambda: now[0])
        for carrier in CARRIERS:
            before = clocks.read(carrier)["offset"]
            assert OFF[0] <= abs(before) <= OFF[1]
            offsets.add(before > 0)
            for _ in range(10):
                rate = clocks.drift(carrier, 0.05)["drift"]
                now[0] += 40.0
                after = clocks.drift(carrier, 0.0)["offset"]
                assert after == pytest.approx(before + 40.0 * rate)
                before = after
            assert abs(before) <= FURTHEST
    assert offsets == {True, False}
