"""`python -m libs.simulator` runs the simulator."""

import argparse
import logging
import signal
import sys
from pathlib import Path

import msgspec
import uvicorn

from libs.simulator.app import create_app
from libs.simulator.carrier_app import IgnoreCutResponses
from libs.simulator.config import Config, load, merged


def main(arguments: list[str] | None = None) -> None:
    """Run until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m libs.simulator", description="Missive's and Twilio's APIs, here.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 for any that is free")
    parser.add_argument("--config", type=Path, help="a JSON file with the configuration")
    parser.add_argument("--seed", type=int, help="the plan's seed")
    given = parser.parse_args(arguments)
    try:
        config = load(given.config)
        if given.seed is not None:
            config = merged(config, {"plan": {"seed": given.seed}})
    except (msgspec.MsgspecError, OSError) as problem:
        sys.exit(f"simulator: the configuration cannot be read: {problem}")
    # uvicorn ends in order and then raises the signal again, for whoever ran it: that is here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    create_server(config, host=given.host, port=given.port).run()


def create_server(config: Config, *, host: str, port: int) -> uvicorn.Server:
    """Build the server, which can cut connections without remark."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            # Each answer has the date by the clock of whoever gives it: a carrier's may be wrong.
            date_header=False,
            http="h11",
            loop="asyncio",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(IgnoreCutResponses())
    return server


if __name__ == "__main__":
    main()
