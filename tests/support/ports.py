"""Ports for servers that tests start."""

import random
import socket

HOST = "127.0.0.1"
#: Below the ports that the system hands out for outgoing connections, and those of the local brokers.
PORTS = range(10_000, 20_000)
#: Not the generator that each test process seeds in the same way: they would all choose the same.
_chance = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Give a port that nobody listens on, that no outgoing connection will take, and that was not given before."""
    for port in _chance.sample(PORTS, 200):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError("no port is free")
