"""A create whose answer came has succeeded, however it is printed; one whose answer was lost is told again."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

KEY = "Idempotency-Key"
CREATE = (
    "broadcast", "create", "--run-at", "14:30", "--first", "Vote today [/details]", "--second", "y",
    "--segment", "1", "--max-recipients", "10",
)  # fmt: skip


@dataclass
class Api:
    """An API that answers a create, and breaks off as often as it is told to before it does."""

    url: str = ""
    breaks: int = 0
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            state.keys.append(self.headers[KEY])
            if state.breaks:
                state.breaks -= 1
                self.close_connection = True
                return
            body = json.dumps({"id": 7, "first_message": "Vote today [/details] 🎉\x1b[31m"}).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def run(api: Api, tmp_path: Path, stdout: int | str, *more: str, **environment: str) -> tuple[int, str, str]:
    """Run a create; return its exit status, and what it printed where that can be read."""
    with open(stdout, "w") if isinstance(stdout, str) else open(os.devnull) as file:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "libs.console.main", *CREATE, *more],
            stdout=file if isinstance(stdout, str) else stdout,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(Path(__file__).parents[3]),
                "BROADSHEET_API_URL": api.url,
                "BROADSHEET_API_KEYS": "k" * 16,
                **environment,
            },
            timeout=60,
            check=False,
        )
    return ended.returncode, (ended.stdout or b"").decode(), ended.stderr.decode()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_create_is_shown_whatever_was_written_and_whatever_the_terminal_knows(
    api: Api, tmp_path: Path, encoding: str
) -> None:
    status, said, _ = run(api, tmp_path, subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert status == 0
    assert "[/details]" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_create_that_cannot_be_shown_has_succeeded_and_names_its_id(
    api: Api, tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    """Fault 40: the command died after it had scheduled, and was run again."""
    status, _, complained = run(api, tmp_path, "/dev/full", *as_json)
    assert (status, complained) == (0, "Broadcast 7 is scheduled. (It could not be shown: OSError.)\n")


def test_a_create_whose_reader_has_gone_has_succeeded(api: Api, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        status, _, complained = run(api, tmp_path, writing)
    finally:
        os.close(writing)
    assert (status, complained) == (0, "Broadcast 7 is scheduled. (It could not be shown: BrokenPipeError.)\n")


def test_a_create_whose_connection_broke_is_made_again_under_its_key(api: Api, tmp_path: Path) -> None:
    api.breaks = 1
    assert run(api, tmp_path, subprocess.PIPE)[0] == 0
    assert len(api.keys) == 2
    assert len(set(api.keys)) == 1


def test_a_create_without_an_answer_says_under_which_key_to_run_it_again(api: Api, tmp_path: Path) -> None:
    api.breaks = 100
    status, _, complained = run(api, tmp_path, subprocess.PIPE)
    assert status == 2
    assert f"--key {api.keys[0]}" in " ".join(complained.split())
    api.breaks = 0
    assert run(api, tmp_path, subprocess.PIPE, "--key", api.keys[0])[0] == 0
    assert set(api.keys) == {api.keys[0]}
