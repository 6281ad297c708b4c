"""A process whose app has failed ends, so that its supervisor starts it anew."""

import subprocess
import sys

import pytest

#: An app that says that it has started, and then fails or is told to end.
APP = """
import asyncio, gc, os, signal, sys
import uvicorn
from libs.common.runtime import server

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    print(gc.get_freeze_count())
    await receive()
    await send({"type": "lifespan.startup.complete"})
    if sys.argv[1] == "fails":
        await asyncio.sleep(0.2)
        raise ConnectionError("the broker went away in the middle of the start")
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

config = uvicorn.Config(app, port=0, log_config=None, lifespan="on")
server.serve(server.Server(config, asyncio.Event()))
"""


@pytest.mark.parametrize(("how", "status"), [("fails", 3), ("ends", 0)])
def test_the_exit_status_says_whether_the_app_has_failed(how: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", APP, how], capture_output=True, timeout=60, check=False)
    assert done.returncode == status


def test_what_stays_for_good_is_out_of_the_garbage_collectors_sight() -> None:
    done = subprocess.run([sys.executable, "-c", APP, "ends"], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 10_000
