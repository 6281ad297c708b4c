"""Runs a checkout's own steps of a message, for a bench that may be another checkout's.

Reads the database's URL, then numbers of batches, a line each; answers each number with the milliseconds a message of
each step, as JSON. `tests/bench/large.py` starts it with the checkout's Python and its modules.
"""

import asyncio
import json
import sys
from typing import Any

from libs.common import database

try:
    from tests.bench import steps as bench
except ImportError:  # a release before the bench was split
    from tests.bench import __main__ as bench  # type: ignore[no-redef]

#: A release on psycopg has a pool where others have an engine.
create_pool: Any = getattr(database, "create_pool", None)


async def main() -> None:
    """Answer until there are no more lines."""
    url = sys.stdin.readline().strip()
    opened = create_pool(url) if create_pool else database.disposing(database.create_engine(url))
    async with opened as way:
        while line := await asyncio.to_thread(sys.stdin.readline):
            took: Any = await bench.send(way, int(line))
            claim, start, answer = took if isinstance(took, tuple) else (took.claim, took.start, took.answer)
            print(json.dumps({"claim": claim, "start": start, "answer": answer}), flush=True)  # noqa: T201


asyncio.run(main())
