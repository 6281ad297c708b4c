"""docker-compose.cluster.yml as an operator starts it; nodes have addresses of their own, to be killed and cut off."""

import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.containers.support import Stack, docker, until

NODES = ("rabbitmq", "rabbitmq-2", "rabbitmq-3")
#: Queues as they are. Statistics are what leaders tell, and one that was cut off takes itself for one a minute longer.
LIVE = "queues?disable_stats=true&enable_queue_totals=true"
PATIENCE = 120.0  # seconds for a node to be one of the cluster's again
#: Where nodes are known by their addresses in the tables of the kernel, and keep them when they come back.
ADDRESSES = """
networks:
  default:
    ipam: {{config: [{{subnet: {subnet}.0/24}}]}}
services:
"""
ADDRESS = """
  {node}:
    networks: {{default: {{ipv4_address: {address}}}}}
"""


class Cluster(Stack):
    """A compose project of three nodes, PostgreSQL, all services and the simulator."""

    def __init__(self, folder: Path, image: str, **settings: str) -> None:
        super().__init__(folder, image, **settings)
        subnet = f"10.{random.randrange(100, 250)}.{random.randrange(256)}"
        self.addresses = {node: f"{subnet}.{101 + number}" for number, node in enumerate(NODES)}
        self._file = folder / f"{self.project}.yml"
        nodes = [ADDRESS.format(node=node, address=address) for node, address in self.addresses.items()]
        self._file.write_text(ADDRESSES.format(subnet=subnet) + "".join(nodes))
        self.files = ["docker-compose.yml", "docker-compose.cluster.yml", str(self._file)]
        url = urlsplit((self.deployment / "secrets" / "amqp_url").read_text())
        self._login = (str(url.username), str(url.password))

    def kill(self, node: str) -> None:
        """Kill a node: its processes are gone, its connections are closed by the kernel."""
        docker("kill", self._named(node))

    def start_again(self, node: str) -> None:
        """Start a node that was killed."""
        docker("start", self._named(node))

    def cut_off(self, node: str) -> None:
        """Take a node off the network: it goes on, and nobody hears of it."""
        docker("network", "disconnect", f"{self.project}_default", self._named(node))

    def bring_back(self, node: str) -> None:
        """Put a node back on the network, where it was."""
        place = ("--ip", self.addresses[node], "--alias", node)
        docker("network", "connect", *place, f"{self.project}_default", self._named(node))

    def _named(self, node: str) -> str:
        # As compose names it; to ask for its id takes half a second, in which a phase goes by.
        return f"{self.project}-{node}-1"

    def use_raft(self) -> None:
        """Keep the metadata where RabbitMQ 4.2 keeps it from the start, also on a 4.0 or 4.1 (docs/cluster.md)."""
        container = self._named(NODES[0])
        flags = docker("exec", container, "rabbitmqctl", "--silent", "list_feature_flags", "name", "state")
        if "khepri_db\tenabled" not in flags:
            docker("exec", container, "rabbitmqctl", "enable_feature_flag", "--opt-in", "khepri_db")

    def ask(self, path: str) -> Any:
        """Ask the management of whichever node answers; None if none does."""
        for address in self.addresses.values():
            with suppress(httpx.HTTPError):
                url = f"http://{address}:15672/api/{path}"
                return httpx.get(url, auth=self._login, timeout=10, trust_env=False).raise_for_status().json()
        return None

    def whole(self, *, queues: int) -> float:
        """Wait until all nodes are up, and each of at least so many queues has a member on all of them.

        Gives how many seconds that took.
        """

        def is_whole() -> bool:
            nodes, found = self.ask("nodes"), self.ask(LIVE)
            if nodes is None or found is None or sum(node["running"] for node in nodes) < len(NODES):
                return False
            online = [len(queue.get("online", ())) for queue in found if queue.get("type") == "quorum"]
            return len(online) >= queues and all(count == len(NODES) for count in online)

        return until(is_whole, what="three nodes with all queues", seconds=PATIENCE)

    def place(self, service: str) -> "Place":
        """Return where a service runs."""
        [container] = self.containers(service)
        known = self.inspect(container)
        [network] = known["NetworkSettings"]["Networks"].values()
        names = {address: node for node, address in self.addresses.items()}
        return Place(pid=known["State"]["Pid"], address=network["IPAddress"], nodes=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a container runs, as this machine sees it."""

    pid: int
    address: str
    nodes: dict[str, str]

    def is_ready(self) -> bool:
        """Ask the service there whether it is ready."""
        try:
            url = f"http://{self.address}:8000/health/ready"
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def used(self) -> Counter[str]:
        """Count the container's connections to each node, as the kernel has them (proc_pid_net(5))."""
        found: Counter[str] = Counter()
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            _, _, remote, state, *_ = line.split()
            host, port = remote.split(":")
            node = self.nodes.get(socket.inet_ntoa(bytes.fromhex(host)[::-1]))
            if node and int(port, 16) == 5672 and state == "01":
                found[node] += 1
        return found


@contextmanager
def cluster(folder: Path, image: str, **settings: str) -> Iterator[Cluster]:
    """Yield a cluster that is removed at the end; its logs are printed if the test fails."""
    made = Cluster(folder, image, **settings)
    try:
        yield made
    except BaseException:
        sys.stdout.write(made.run("logs", "--tail=15", check=False))
        raise
    finally:
        made.close()
