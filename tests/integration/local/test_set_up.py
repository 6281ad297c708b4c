import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "libs" / "local" / "set_up.sh"
TOOLS = ("cat", "cksum", "dirname", "grep", "rm", "sh")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout on a machine with no more than the tools that every system has."""
    copy = tmp_path / "libs" / "local" / "set_up.sh"
    copy.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, copy)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    assets = tmp_path / "services" / "api" / "desk" / "assets"
    assets.mkdir(parents=True)
    for name in (".npmrc", "build.mjs", "desk.css", "desk.js", "package.json"):
        (assets / name).touch()
    (assets.parent / "static").mkdir()
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def add_tool(checkout: Path, path: str, script: str) -> None:
    tool = checkout / path
    tool.parent.mkdir(parents=True, exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def set_up(checkout: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(checkout / "bin" / "sh"), str(checkout / "libs" / "local" / "set_up.sh")],
        env={"PATH": str(checkout / "bin"), "BROADSHEET_AMQP_URL": "amqp://elsewhere"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_machine_without_a_new_enough_python_is_told_so_in_one_line(checkout: Path) -> None:
    add_tool(checkout, "bin/python3", "exit 1")

    outcome = set_up(checkout)

    assert (outcome.returncode, outcome.stderr.count("\n")) == (1, 1)
    assert "Python 3.11 or later is needed" in outcome.stderr


def test_a_second_run_installs_nothing(checkout: Path) -> None:
    add_tool(checkout, ".venv/bin/python", 'echo "$@" >>calls')
    set_up(checkout)
    calls = (checkout / "calls").read_text()

    second = set_up(checkout)

    assert (second.returncode, second.stderr, (checkout / "calls").read_text()) == (0, "", calls)


def test_a_changed_lock_installs_again(checkout: Path) -> None:
    add_tool(checkout, ".venv/bin/python", 'echo "$@" >>calls')
    set_up(checkout)
    (checkout / "requirements" / "dev.txt").write_text("changed")

    assert "the packages of requirements/dev.txt" in set_up(checkout).stderr


def test_an_installation_that_failed_is_tried_again(checkout: Path) -> None:
    add_tool(checkout, ".venv/bin/python", 'case "$*" in *require-hashes*) exit 1;; esac')

    assert (set_up(checkout).returncode, set_up(checkout).returncode) == (1, 1)


def test_a_changed_script_of_the_desk_is_built_again(checkout: Path) -> None:
    add_tool(checkout, ".venv/bin/python", 'echo "$@" >>calls')
    set_up(checkout)
    (checkout / "services" / "api" / "desk" / "assets" / "desk.js").write_text("changed")

    outcome = set_up(checkout)

    assert (outcome.returncode, outcome.stderr) == (0, "set-up: the desk's script and style\n")
    assert (checkout / "calls").read_text().count("libs.local.desk_assets") == 2
