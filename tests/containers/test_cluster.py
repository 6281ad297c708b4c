"""The broker as three nodes: one at a time is killed or cut off while a broadcast goes on; nobody is the worse for it.

All of it runs in containers, as docker-compose.cluster.yml has it; the simulator's ledger is the judge. Each fault hits
the node that the services are connected to.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from libs.common.messaging import delays, topology
from libs.console.client import Client
from libs.console.ledger_check import judge
from tests.containers import support
from tests.containers.cluster import Cluster, Place, cluster
from tests.end_to_end.test_broadcast import csv

SERVICES = ("planner", "sender", "twilio_sync")
PHASES = ("waiting", "sending_first", "sending_second", "syncing")
PEOPLE = 100
QUEUES = len(topology.WORK) + len(topology.SERVICES) + delays.RUNGS
OVER = 120.0  # seconds within which a broadcast is over, whatever happens
#: Seconds for all services to be connected to another node: aiormq waits 18 s for a silent one, a dead one says so.
BACK = 60.0
SETTINGS = {"SEND_RATE": "40", "MISSIVE_WINDOWS": "", "SECOND_DELAY": "3", "BATCH_SIZE": "10", "SYNC_INTERVAL": "1"}
SIMULATED = {
    "limits": {"concurrent": 5, "windows": []},
    "plan": {
        "reply": 0.1,
        "stop": 0.03,
        "unreachable": 0.05,
        "invalid": 0.03,
        "hand_over_delay": [0.05, 0.4],
        "delivery_delay": [1.5, 2.5],
        "reply_delay": [0.5, 3.0],
    },
}


class Rig:
    """The cluster, each broadcast's words, and what to expect of both."""

    def __init__(self, nodes: Cluster, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
        self.nodes = nodes
        self.client = client
        self.capsys = capsys
        self.broadcasts: dict[int, str] = {}
        self.places: list[Place] = []
        client.call("POST", "/contacts/import", content=csv(PEOPLE), headers={"Content-Type": "text/csv"})
        self.segment = client.call("POST", "/segments", json={"name": "all", "filter": {"any": ["all"]}})

    def send(self, words: str, *, until: str) -> int:
        """Have a broadcast go out now and wait until it is in a state; return its id."""
        body = {
            "run_at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(),
            "first_message": f"{words}: the first",
            "second_message": f"{words}: the second",
            "segments": [{"segment_id": self.segment["id"], "ratio": 100}],
            "max_recipients": PEOPLE,
        }
        id_ = int(self.client.call("POST", "/broadcasts", json=body)["id"])
        self.broadcasts[id_] = words
        # Looked up now, since that takes longer than a phase.
        self.places = [self.nodes.place(name) for name in SERVICES]
        self.reaches(id_, until)
        return id_

    def reaches(self, broadcast_id: int, state: str) -> None:
        """Wait until a broadcast is in a state."""

        def there() -> bool:
            return bool(self.client.call("GET", f"/broadcasts/{broadcast_id}")["state"] == state)

        support.until(there, what=state, seconds=OVER, every=0.1)

    def lose(self, how: Callable[[str], None]) -> tuple[str, float]:
        """Lose the node that the services use most; return it, and the seconds until they are ready over others."""
        used: Counter[str] = sum((place.used() for place in self.places), Counter())
        [(lost, _)] = used.most_common(1)

        def are_back() -> bool:
            return all(place.used() and not place.used()[lost] and place.is_ready() for place in self.places)

        begun = time.monotonic()
        how(lost)
        support.until(are_back, what="services over another node", seconds=BACK, every=0.1)
        return lost, time.monotonic() - begun

    def ends(self, broadcast_id: int, told: str) -> None:
        """Wait until a broadcast is over and all nodes are one cluster again, judge, and tell the figures."""
        self.reaches(broadcast_id, "completed")
        whole = self.nodes.whole(queues=QUEUES)
        pause = self.judge(broadcast_id)
        with self.capsys.disabled():
            print(  # noqa: T201 - figures for whoever runs it
                f"\n{self.broadcasts[broadcast_id]}: {told}; longest pause between messages {pause:.1f} s;"
                f" all queues on three nodes {whole:.1f} s after the broadcast's end"
            )

    def judge(self, broadcast_id: int) -> float:
        """Compare the two ledgers; return the longest time in seconds between two messages of one phase."""
        ledger = self.nodes.simulate("GET", "/ledger")
        found = 0
        for id_, words in self.broadcasts.items():
            bodies = (f"{words}: the first", f"{words}: the second")
            messages = [message for message in ledger["messages"] if message["body"] in bodies]
            verdict = judge(self.client.all(f"/broadcasts/{id_}/messages"), bodies, {**ledger, "messages": messages})
            assert verdict.holds, f"{words}: {verdict}"
            found += len(messages)
        assert found == len(ledger["messages"]), "messages that are nobody's"
        words = self.broadcasts[broadcast_id]
        longest = 0.0
        for which in ("first", "second"):
            times = sorted(
                message["accepted_at"] for message in ledger["messages"] if message["body"] == f"{words}: the {which}"
            )
            longest = max([longest, *(later - sooner for sooner, later in pairwise(times))])
        return longest


@pytest.fixture(scope="module")
def nodes(folder: Path, image: str) -> Iterator[Cluster]:
    """Three nodes and all services, ready."""
    with cluster(folder, image, **SETTINGS) as nodes:
        nodes.start()
        nodes.whole(queues=QUEUES)
        nodes.use_raft()
        nodes.simulate("PUT", "/config", SIMULATED)
        yield nodes


@pytest.mark.timeout(600)
def test_a_node_lost_in_any_phase_costs_seconds_and_nobody_a_message(
    nodes: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with nodes.api() as client:
        rig = Rig(nodes, client, capsys)
        for phase in PHASES:
            id_ = rig.send(f"killed in {phase}", until=phase)
            lost, back = rig.lose(nodes.kill)
            if phase == "waiting":
                # What starts without it finds the others.
                nodes.run("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "planner")
                nodes.healthy("planner")
            nodes.start_again(lost)
            rig.ends(id_, f"{lost}; services over another node after {back:.1f} s")

        # Silence instead of an end: what is asked of it has to be given up, and what the others ask of each other.
        id_ = rig.send("cut off the network", until="sending_first")
        lost, back = rig.lose(nodes.cut_off)
        rig.reaches(id_, "completed")
        nodes.bring_back(lost)
        rig.ends(id_, f"{lost}; services over another node after {back:.1f} s")
