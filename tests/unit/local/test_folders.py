import threading
from pathlib import Path

import pytest

from libs.local.folders import Lease, exclusively, identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users"


def test_who_takes_the_first_share_is_alone(path: Path) -> None:
    lease = Lease(path)
    lease.take()

    assert lease.alone()


def test_of_two_nobody_is_alone_until_one_has_left(path: Path) -> None:
    first, second = Lease(path), Lease(path)
    first.take()
    second.take()

    together = (first.alone(), second.alone())
    first.give_back()

    assert (together, second.alone()) == ((False, False), True)


def test_finding_out_keeps_the_share(path: Path) -> None:
    first, second = Lease(path), Lease(path)
    first.take()
    first.alone()

    assert not second.take_whole()


def test_what_is_taken_whole_cannot_be_taken_again(path: Path) -> None:
    first, second = Lease(path), Lease(path)

    assert (first.take_whole(), second.take_whole()) == (True, False)


def test_one_at_a_time_gets_through(path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with exclusively(path):
            entered.set()

    with exclusively(path):
        other = threading.Thread(target=enter)
        other.start()
        early = entered.wait(0.1)
    other.join()

    assert (early, entered.is_set()) == (False, True)


def test_two_folders_have_two_names_and_one_has_one(tmp_path: Path) -> None:
    assert identity(tmp_path / "a") == identity(tmp_path / "b" / ".." / "a") != identity(tmp_path / "b")
