"""A unit test starts no process and no server, and connects to none. One that does fails: it belongs to integration."""

import sys
from collections.abc import Iterator

import psycopg
import pytest

#: What the interpreter tells before it happens (https://docs.python.org/3/library/audit_events.html).
FORBIDDEN = frozenset(
    {
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen",
        "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto",
    }
)  # fmt: skip

_watching = False
_seen: list[str] = []


def _refuse(event: str, _arguments: object) -> None:
    if _watching and event in FORBIDDEN:
        _seen.append(event)
        pytest.fail(f"a unit test does {event}: it belongs to tests/integration")


# A hook cannot be taken away again; it costs nothing worth the mention.
sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that starts or reaches something, also where what it tests passes over the refusal."""
    global _watching  # noqa: PLW0603

    def connect(*_: object, **__: object) -> None:
        _refuse("socket.connect", ())

    # They connect in C, where no hook sees it.
    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    _seen.clear()
    _watching = True
    yield
    _watching = False
    assert _seen == []
