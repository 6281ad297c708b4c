"""What the scripts in `deploy/` do."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common.settings import DEVELOPMENT_ONLY

ROOT = Path(__file__).parents[3]
RABBITMQ = ROOT / "deploy" / "rabbitmq"
SIMULATED = ROOT / "deploy" / "simulated"
OWN = {"missive_token", "missive_webhook_secret", "twilio_auth_token", "oidc_client_secret", "smtp_url"}


def secrets(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


def make_live(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "make-live", folder], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_live_deployment_has_passwords_of_its_own_that_agree(tmp_path: Path) -> None:
    assert make_live(tmp_path / "one").returncode == 0
    assert make_live(tmp_path / "two").returncode == 0
    one, two = secrets(tmp_path / "one"), secrets(tmp_path / "two")
    assert one.keys() == secrets(SIMULATED).keys()
    for name in one.keys() - OWN:
        assert len(one[name]) >= 48
        assert one[name] != two[name]
        assert DEVELOPMENT_ONLY not in one[name]
    assert {one[name] for name in OWN} == {""}
    assert one["database_password"] in one["database_url"]
    assert one["migration_password"] in one["migration_url"]
    assert one["migration_password"] != one["database_password"]
    assert one["rabbitmq.conf"].rpartition(" = ")[2] in one["amqp_url"]


def test_a_live_deployment_is_closed_to_others_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    assert make_live(folder).returncode == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    before = secrets(folder)
    again = make_live(folder)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert secrets(folder) == before


def fetch(url: str, digest: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RABBITMQ / "fetch_plugin.py", url, digest, file],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_build_that_cannot_fetch_the_plugin_says_so_in_one_line_with_the_way_without_it(tmp_path: Path) -> None:
    (tmp_path / "plugin").write_bytes(b"plugin")
    there, right = (tmp_path / "plugin").as_uri(), hashlib.sha256(b"plugin").hexdigest()
    into = tmp_path / "into"
    for url, digest, reason in (
        ("http://127.0.0.1:9/plugin.ez", right, "could not be fetched from http://127.0.0.1:9/plugin.ez"),
        ((tmp_path / "none").as_uri(), right, "could not be fetched"),
        (there, "0" * 64, "is not the file that it should be"),
    ):
        ended = fetch(url, digest, into)
        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert reason in line
        assert "echo RABBITMQ_IMAGE=rabbitmq:4-management >> .env" in line
        assert not into.exists()
    assert fetch(there, right, into).returncode == 0
    assert into.read_bytes() == b"plugin"


def pin(folder: Path, docker: str) -> subprocess.CompletedProcess[str]:
    """Run deploy/pin-images with a `docker` that does what a line of shell says."""
    (folder / "docker").write_text(f"#!/bin/sh\n{docker}\n")
    (folder / "docker").chmod(0o755)
    return subprocess.run(
        [ROOT / "deploy" / "pin-images", folder / ".env"], capture_output=True, text=True, timeout=30, check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )  # fmt: skip


DIGEST = "sha256:" + "a" * 64


def test_images_are_pinned_to_the_digests_that_registries_give_and_the_rest_of_the_settings_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("BROADSHEET_DEPLOYMENT=deploy/live\nPOSTGRES_IMAGE=postgres:16\n")
    for _ in range(2):
        assert pin(tmp_path, f'[ "$1 $2 $3" = "buildx imagetools inspect" ] && echo {DIGEST}').returncode == 0
        lines = (tmp_path / ".env").read_text().splitlines()
        assert lines[0] == "BROADSHEET_DEPLOYMENT=deploy/live"
        assert sorted(lines[1:]) == [
            f"ALERTMANAGER_IMAGE=prom/alertmanager:v0.28.1@{DIGEST}",
            f"GRAFANA_IMAGE=grafana/grafana:12.2.1@{DIGEST}",
            f"POSTGRES_IMAGE=postgres:17@{DIGEST}",
            f"PROMETHEUS_IMAGE=prom/prometheus:v3.7.3@{DIGEST}",
            f"PYTHON_IMAGE=python:3.13-slim@{DIGEST}",
            f"RABBITMQ_PLUGIN_IMAGE=rabbitmq:4.2-management@{DIGEST}",
        ]


@pytest.mark.parametrize(
    "docker", ["exit 1", "echo not found", f'case "$4" in python*) echo {DIGEST};; *) exit 1; esac']
)
def test_where_no_registry_answers_no_image_is_pinned(tmp_path: Path, docker: str) -> None:
    (tmp_path / ".env").write_text("POSTGRES_IMAGE=postgres:16\n")
    ended = pin(tmp_path, docker)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert (tmp_path / ".env").read_text() == "POSTGRES_IMAGE=postgres:16\n"
