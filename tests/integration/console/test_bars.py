"""A bar as a terminal is sent it, while a file goes over a real connection."""

import json
import os
import pty
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

FILE = b"phone_number\n" + b"+13135550142\n" * 40_000


class Importing(BaseHTTPRequestHandler):
    """An API that breaks off once, and then says how many bytes it was sent."""

    received: list[int] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self._answer({"items": []})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(len(content))
        if len(self.received) == 1:
            self.close_connection = True
            return
        self._answer({"imported": len(content), "rejected": []})

    def _answer(self, told: dict[str, Any]) -> None:
        answer = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_import_whose_connection_breaks_is_sent_anew_as_a_whole_and_a_terminal_shows_how_far_it_is(
    tmp_path: Path,
) -> None:
    (tmp_path / "people.csv").write_bytes(FILE)
    server = HTTPServer(("127.0.0.1", 0), Importing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "libs.console.main", "contacts", "import", str(tmp_path / "people.csv")],
        env={
            "PATH": os.defpath, "BROADSHEET_API_KEYS": "key", "TERM": "xterm",
            "BROADSHEET_API_URL": f"http://127.0.0.1:{server.server_port}",
        },
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=False,
    )  # fmt: skip
    server.shutdown()
    server.server_close()
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert ended.returncode == 0, shown
    assert Importing.received == [len(FILE), len(FILE)]
    assert str(len(FILE)) in ended.stdout.decode()
    assert "Importing" in shown
    assert "\x1b" not in ended.stdout.decode(), "the bar is no part of what a program reads"
