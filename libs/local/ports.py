"""Ports for a broker: a block of four, the same one for the same folder as long as nobody else has taken it.

The blocks lie below the range from which any system takes the ports of outgoing connections, so that a broker that is
restarted finds its own ports free.
"""

import json
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from libs.local.errors import LocalServerError, PortTaken

FIRST = 20_000
BLOCKS = 3_000
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a broker listens, all on the loopback interface."""

    amqp: int
    management: int
    #: Erlang's own: the node, and the name server that it brings.
    distribution: int
    names: int

    def free(self) -> bool:
        """Return whether all of them can be had."""
        return all(is_free(port) for port in asdict(self).values())

    def write(self, path: Path) -> None:
        """Put them on record."""
        path.write_text(json.dumps(asdict(self)))


def read(path: Path) -> Ports | None:
    """Return the ports on record; a record that cannot be read is none."""
    try:
        return Ports(**{name: int(port) for name, port in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def choose(seed: int, *, demanded: int | None, last: Ports | None) -> Ports:
    """Return free ports: the last ones, else those that the seed prefers, else the next; a demanded one or none."""
    if demanded is not None and not is_free(demanded):
        raise PortTaken(
            f"Port {demanded} was asked for, for the local RabbitMQ, but {holder(demanded)} has it: "
            "end that program, ask for another port, or set BROADSHEET_AMQP_URL to a broker of your own."
        )
    blocks = (_block(seed + step) for step in range(BLOCKS))
    for ports in (*([last] if last else []), *blocks):
        wanted = ports if demanded is None else replace(ports, amqp=demanded)
        if wanted.free():
            return wanted
    raise LocalServerError(
        f"No four free ports for the local RabbitMQ from {FIRST} on: end what holds them, or set BROADSHEET_AMQP_URL."
    )


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port: on this address or, where that can be hidden, on all."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex((HOST, port)) != 0


def holder(port: int) -> str:
    """Name the program that listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"


def _block(number: int) -> Ports:
    first = FIRST + number % BLOCKS * 4
    return Ports(amqp=first, management=first + 1, distribution=first + 2, names=first + 3)
