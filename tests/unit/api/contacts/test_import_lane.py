import asyncio

import pytest

from services.api.contacts.import_lane import Lane
from services.api.http.errors import TooBusy


async def test_so_many_pass_at_once_and_the_next_waits_for_a_place() -> None:
    lane = Lane(places=2, line=1, patience=30)
    free = asyncio.Event()
    inside = 0
    most = 0

    async def work() -> None:
        nonlocal inside, most
        async with lane.place():
            inside += 1
            most = max(most, inside)
            await free.wait()
            inside -= 1

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    while inside < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        async with lane.place():
            pass
    free.set()
    await asyncio.gather(*tasks)
    assert most == 2
    async with lane.place():
        pass


async def test_who_has_waited_for_long_enough_is_told_to_come_again() -> None:
    lane = Lane(places=1, line=5, patience=0.01)
    async with lane.place():
        for _ in range(6):  # more than stand in line: each has left it
            with pytest.raises(TooBusy):
                async with lane.place():
                    pass
    async with lane.place():
        pass


async def test_a_place_is_free_again_after_a_failure() -> None:
    lane = Lane(places=1, line=0, patience=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with lane.place():
                raise ZeroDivisionError
