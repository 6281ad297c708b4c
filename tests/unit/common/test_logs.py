"""What is logged: one line an entry, with its cause and its trace, and nothing personal whatever goes wrong."""

import asyncio
import gc
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from libs.common.errors import Conflict
from libs.common.observability import redaction, telemetry

NUMBER = "+13135550142"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    telemetry.configure("debug", "json", "test")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def test_an_entry_says_what_it_follows_from(logged: Callable[[], list[dict[str, Any]]]) -> None:
    ids = {"correlation_id": str(uuid4()), "causation_id": str(uuid4())}
    with structlog.contextvars.bound_contextvars(**ids):
        structlog.stdlib.get_logger("ours").info("something", broadcast_id=7)
        logging.getLogger("theirs").warning("another thing")
    ours, theirs = logged()
    for entry in (ours, theirs):
        assert {name: entry[name] for name in ids} == ids
        assert entry["service"] == "test"
    assert ours["broadcast_id"] == 7


def test_an_error_is_logged_with_its_frames_and_without_what_it_was_about(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    try:
        try:
            int(f"call Zoë at {NUMBER}")
        except ValueError as error:
            raise KeyError("Zoë's text") from error
    except KeyError:
        structlog.stdlib.get_logger("ours").exception("failed")
        logging.getLogger("theirs").exception("failed")
    for entry in logged():
        text = entry["exception"]
        assert "test_an_error_is_logged" in text
        assert text.index("KeyError") < text.index("ValueError")
        assert NUMBER[1:] not in json.dumps(entry)
        assert "Zo" not in text.replace('KeyError("Zoë', "").replace('int(f"call Zoë', "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("Zoë"), "ValueError"),
        (Conflict("a broadcast that is paused cannot be made"), "libs.common.errors.Conflict: a broadcast that is"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: [Errno 111]"),
        (httpx.InvalidURL("https://carrier/?To=%2B1313"), "httpx.InvalidURL"),
        (
            ExceptionGroup("Zoë", [ValueError("Zoë"), TypeError("no such argument")]),
            "ExceptionGroup: ValueError, TypeErr",
        ),
    ],
)
def test_a_message_is_told_where_it_can_hold_nothing_personal(error: Exception, expected: str) -> None:
    assert redaction.describe(error).startswith(expected)
    assert "Zo" not in redaction.describe(error)
    assert "1313" not in redaction.describe(error)


def test_what_a_library_says_is_rid_of_numbers(logged: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("theirs").warning(
        "GET /Messages.json?To=%s and %s, 3 times at 2026-01-01", "%2B13135550142", NUMBER
    )
    [entry] = logged()
    assert entry["event"] == "GET /Messages.json?To=[number] and [number], 3 times at 2026-01-01"


async def test_a_task_that_nobody_awaited_tells_no_number(logged: Callable[[], list[dict[str, Any]]]) -> None:
    async def fail() -> None:
        raise ValueError(NUMBER)

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    [entry] = [entry for entry in logged() if entry["level"] == "error"]
    assert "never retrieved" in entry["event"]
    assert NUMBER[1:] not in json.dumps(entry)
