"""Two processes of the API behind one port."""

import signal
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract import serving
from tests.contract.serving import Served
from tests.support import servers
from tests.support.ports import free_port

PATIENCE = 60.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def workers(served: Served) -> list[psutil.Process]:
    return [each for each in psutil.Process(served.pid).children() if each.status() != psutil.STATUS_ZOMBIE]


def get(served: Served, path: str) -> tuple[int, int, str]:
    """Ask over a connection of its own, so that any worker may answer: its process id, the status, the body."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    connection.request("GET", path)
    ours = connection.sock.getsockname()
    response = connection.getresponse()
    body = response.read().decode()
    [owner] = [each.pid for each in workers(served) if ours in (peer.raddr for peer in each.net_connections("tcp"))]
    connection.close()
    return owner, response.status, body


def answering(served: Served) -> set[int]:
    """Return which workers answer: the system deals the connections out by chance."""
    return {get(served, "/health/live")[0] for _ in range(10)}


def counted(served: Served) -> float:
    """Return how many requests for contacts one of the workers tells of."""
    families = text_string_to_metric_families(get(served, "/metrics")[2])
    samples = [sample for family in families for sample in family.samples]
    [found] = [
        sample.value
        for sample in samples
        if (sample.name, sample.labels.get("path")) == ("broadsheet_http_requests_total", "/contacts")
    ]
    return found


def test_both_answer_on_one_port_and_tell_what_both_have_counted(tmp_path: Path) -> None:
    with serving.serving(tmp_path, workers=2) as served:
        until(lambda: len(answering(served)) == 2)
        assert {get(served, "/contacts")[1] for _ in range(20)} == {401}
        assert {counted(served) for _ in range(10)} == {20}


def test_a_worker_that_dies_is_replaced_while_the_other_answers(tmp_path: Path) -> None:
    with serving.serving(tmp_path, workers=2) as served:
        until(lambda: len(answering(served)) == 2)
        dies, stays = workers(served)
        dies.kill()
        dies.wait(PATIENCE)
        seen: set[int] = set()

        def both() -> bool:
            seen.update(answering(served))
            return len(seen) == 2

        until(both)
        assert stays.pid in seen
        assert dies.pid not in seen
        assert "worker_ended" in served.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_sigterm_ends_all_of_them_and_the_death_of_the_parent_too(tmp_path: Path, number: signal.Signals) -> None:
    with serving.serving(tmp_path, workers=2) as served:
        until(lambda: len(workers(served)) == 2)
        ours = workers(served)
        served.process.send_signal(number)
        assert served.process.wait(PATIENCE) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        gone, alive = psutil.wait_procs(ours, PATIENCE)
        assert (len(gone), alive) == (2, [])


def test_a_worker_whose_parent_dies_while_it_starts_ends_too(tmp_path: Path) -> None:
    """It took whoever adopted it for its parent, and stayed for ever."""
    with servers.database() as url:
        running = serving.start(tmp_path, url, free_port(), workers=2)
        until(lambda: len(psutil.Process(running.pid).children()) == 2)
        ours = psutil.Process(running.pid).children()
        running.kill()
        running.wait(PATIENCE)
        gone, alive = psutil.wait_procs(ours, PATIENCE)
        for each in alive:
            each.kill()
        assert (len(gone), alive) == (2, [])


def test_a_port_that_somebody_else_has_ends_it_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = serving.start(tmp_path, "postgresql://nobody@127.0.0.1:1/none", taken.getsockname()[1], workers=2)
        assert running.wait(PATIENCE) == 3
    assert "port_not_free" in (tmp_path / "api.log").read_text()
