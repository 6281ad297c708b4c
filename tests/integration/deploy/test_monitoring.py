"""Alert rules and dashboard: that promtool and compose take them."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.monitoring import COMPOSE, HEALTH_PORT, MONITORING, PROMETHEUS, ROOT, asked, queries

PATIENCE = 240  # seconds that a tool may take on a busy machine


def promtool(*arguments: str) -> None:
    """Have promtool check something, where there is one."""
    unpacked = ROOT / ".broadsheet/promtool/usr/bin/promtool"
    program = shutil.which("promtool") or (str(unpacked) if unpacked.exists() else None)
    if program is None:
        pytest.skip("there is no promtool: deploy/prometheus/get_promtool.sh gets it")
    done = subprocess.run(
        [program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_configuration_with_its_rules() -> None:
    promtool("check", "config", "prometheus.yml")


def test_promtool_finds_that_each_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_compose_takes_the_file_that_adds_prometheus_and_grafana() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("there is no docker compose")
    files = ("-f", str(COMPOSE), "-f", str(MONITORING), "--profile", "alerts")
    command = ["docker", "compose", *files, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for name in asked()["names"]:
        port = services[name]["environment"].get("BROADSHEET_API_PORT") or services[name]["environment"][HEALTH_PORT]
        assert port == str(asked()["port"]), name
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in services[name]["environment"], name
    assert services["grafana"]["configs"]


@pytest.mark.parametrize(("built_with", "told"), [("1.2-3-gabc", "1.2-3-gabc"), ("", version("broadsheet"))])
def test_a_process_tells_the_release_that_its_image_was_built_with(built_with: str, told: str) -> None:
    program = (
        "from libs.common import settings; from libs.common.observability import telemetry;"
        "from prometheus_client import REGISTRY;"
        "settings.load(settings.Settings, _env_file=None); telemetry.configure('info', 'json', 'test');"
        "print(next(m for m in REGISTRY.collect() if m.name == 'broadsheet_build').samples[0].labels['release'])"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BROADSHEET_")},
        "BROADSHEET_RELEASE": built_with,
        "BROADSHEET_DATABASE_URL": "postgresql://",
        "BROADSHEET_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
        "BROADSHEET_FROM_NUMBER": "+13135550100",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_promtool_can_read_each_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:query:{number}", "expr": expr} for number, expr in enumerate(queries())]
    generated = tmp_path / "dashboard.yml"
    generated.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", str(generated))
