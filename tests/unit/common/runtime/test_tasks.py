"""Tasks end even where a library lets their cancellation go."""

import asyncio

import pytest

from libs.common.runtime.tasks import cancel_and_wait


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.tasks.AGAIN", 0.02)


async def deaf(times: int, cancelled: list[int]) -> None:
    """Go on after the first cancellations, as one does whose connection comes at the same moment."""
    for number in range(times):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(number)
    await asyncio.sleep(3600)


async def test_a_task_whose_cancellation_was_let_go_is_told_again() -> None:
    cancelled: list[int] = []
    tasks = [asyncio.create_task(deaf(times, cancelled)) for times in (0, 1, 3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel_and_wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, True]
    assert sorted(cancelled) == [0, 0, 1, 2]


async def test_nothing_to_end_and_tasks_that_have_ended_or_failed_are_no_trouble() -> None:
    async def fails() -> None:
        raise ValueError

    tasks = [asyncio.create_task(fails()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)
    await cancel_and_wait([])
    await cancel_and_wait(tasks)
    assert all(task.done() for task in tasks)
    assert isinstance(tasks[0].exception(), ValueError)


async def test_who_is_cancelled_while_ending_others_ends_too() -> None:
    stuck = asyncio.create_task(deaf(50, []))
    await asyncio.sleep(0)
    ender = asyncio.create_task(cancel_and_wait([stuck]))
    await asyncio.sleep(0.05)
    ender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ender
    await cancel_and_wait([stuck])
