"""What a command says of an API that does not answer."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from libs.console.client import Client
from libs.console.failures import NoApi

ROOT = Path(__file__).parents[3]


def test_an_api_that_takes_longer_is_not_said_to_be_away() -> None:
    """A large import was carried out, and the command said that the API does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", "key")
        with pytest.raises(NoApi, match=r"has not answered within .* may still be under way"):
            client.call("POST", "/contacts/import", within=0.2)
    client.close()
    away = Client(client.url, "key")
    with pytest.raises(NoApi, match="does not answer"):
        away.call("POST", "/contacts/import")
    away.close()


def test_a_command_that_finds_no_api_says_what_to_do(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "libs.console.main", "broadcast", "list"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "broadsheet up" in " ".join(ended.stderr.split())
