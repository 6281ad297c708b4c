"""Alert rules and dashboard: that they name what there is, and that promtool takes them."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support import metrics

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
RUNBOOK = ROOT / "docs/operate.md"
COMPOSE = ROOT / "docker-compose.yml"
MONITORING = ROOT / "deploy/docker-compose.monitoring.yml"
HEALTH_PORT = "BROADSHEET_HEALTH_PORT"
#: What Prometheus itself adds to every series.
TARGET = {"job", "instance", "service", "le"}
#: Alerts about something that happens, rather than about how it is: they look back by themselves.
AT_ONCE = {"BroadsheetBroadcastMissed", "BroadsheetWebhooksRefused"}

NAME = re.compile(r"\bbroadsheet_\w+")
SELECTOR = re.compile(r"\b(broadsheet_\w+)\{([^}]*)\}")
WORD = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> list[str]:
    """Give all queries of the dashboard, with Grafana's own variables filled in."""
    board = json.loads(DASHBOARD.read_text())
    exprs = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    exprs += [item["expr"] for item in board["annotations"]["list"]]
    return [expr.replace("$__rate_interval", "1m") for expr in exprs]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def asked() -> dict[str, Any]:
    """Give what Prometheus asks DNS for."""
    [found] = read(PROMETHEUS / "prometheus.yml")["scrape_configs"][0]["dns_sd_configs"]
    assert isinstance(found, dict)
    return found


def promtool(*arguments: str) -> None:
    """Have promtool check something, where there is one."""
    unpacked = ROOT / ".broadsheet/promtool/usr/bin/promtool"
    program = shutil.which("promtool") or (str(unpacked) if unpacked.exists() else None)
    if program is None:
        pytest.skip("there is no promtool: deploy/prometheus/get_promtool.sh gets it")
    done = subprocess.run(
        [program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_for_how_long_and_what_to_do(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert ("for" in rule) is (name not in AT_ONCE)
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/operate.md#{name.lower()}"


def test_each_service_that_prometheus_asks_is_missed_when_it_is_gone() -> None:
    missed = re.findall(r'absent\(up\{job="broadsheet", service="(\w+)"\}\)', alerts()["BroadsheetServiceGone"]["expr"])
    assert missed == asked()["names"]


def test_alerts_and_dashboard_ask_for_metrics_and_labels_that_there_are() -> None:
    known = {series: item.labels for item in metrics.known() for series in item.series}
    for expr in [*queries(), *(rule["expr"] for rule in alerts().values())]:
        for name in NAME.findall(expr):
            assert name in known, f"{name} in {expr}"
        for name, matchers in SELECTOR.findall(expr):
            assert {*WORD.findall(matchers)} <= {*known[name], *TARGET}, expr


def test_the_dashboard_shows_every_metric_that_the_planner_measures_and_what_happens_to_texts() -> None:
    shown = {name for expr in queries() for name in NAME.findall(expr)}
    wanted = {item.name for item in metrics.known() if item.type == "gauge" or "texts" in item.name}
    assert wanted - shown <= {"broadsheet_http_requests_in_progress"}


def test_each_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    quiet = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == quiet == set(alerts())


def test_the_panels_have_ids_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or (panel["targets"] and panel["description"]), panel["title"]


def test_promtool_takes_the_configuration_with_its_rules() -> None:
    promtool("check", "config", "prometheus.yml")


def test_promtool_finds_that_each_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_compose_takes_the_file_that_adds_prometheus_and_grafana() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("there is no docker compose")
    files = ("-f", str(COMPOSE), "-f", str(MONITORING), "--profile", "alerts")
    command = ["docker", "compose", *files, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for name in asked()["names"]:
        port = services[name]["environment"].get("BROADSHEET_API_PORT") or services[name]["environment"][HEALTH_PORT]
        assert port == str(asked()["port"]), name
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in services[name]["environment"], name
    assert services["grafana"]["configs"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana"])
def test_a_container_that_monitors_has_no_rights_and_bounds_and_a_health_check(name: str) -> None:
    service = read(MONITORING)["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 200
    assert service["mem_limit"]
    [published] = service["ports"]
    port = published.rpartition(":")[2]
    assert ":-127.0.0.1:" in published
    kind, program, *_, url = service["healthcheck"]["test"]
    assert (kind, url.startswith(f"http://127.0.0.1:{port}/")) == ("CMD", True)
    # What the images have: Prometheus's own are made of busybox, Grafana's has curl for this.
    assert program == ("curl" if name == "grafana" else "wget")
    for condition in service.get("depends_on", {}).values():
        assert condition == {"condition": "service_healthy"}


def test_grafana_waits_for_prometheus() -> None:
    assert read(MONITORING)["services"]["grafana"]["depends_on"].keys() == {"prometheus"}


def test_alerts_go_by_alertmanager_to_a_receiver_whose_address_is_a_secret() -> None:
    compose = read(MONITORING)
    service = compose["services"]["alertmanager"]
    [manager] = read(PROMETHEUS / "prometheus.yml")["alerting"]["alertmanagers"][0]["dns_sd_configs"]
    assert manager["names"] == ["alertmanager"]
    assert service["healthcheck"]["test"][-1] == f"http://127.0.0.1:{manager['port']}/-/healthy"
    [target] = [item["target"] for item in service["configs"]]
    assert f"--config.file={target}" in service["command"]
    assert compose["configs"]["alertmanager.yml"]["file"].endswith(":-deploy/prometheus/alertmanager.yml}")
    told = read(PROMETHEUS / "alertmanager.yml")
    receivers = {item["name"]: item for item in told["receivers"]}
    [webhook] = receivers[told["route"]["receiver"]]["webhook_configs"]
    [secret] = service["secrets"]
    assert webhook["url_file"] == f"/run/secrets/{secret}"
    assert compose["secrets"][secret]["file"].endswith(f"/secrets/{secret}")
    severities = {rule["labels"]["severity"] for rule in alerts().values()}
    for route in told["route"]["routes"]:
        assert {text.partition("=")[2].strip('"') for text in route["matchers"]} <= severities


@pytest.mark.parametrize(("built_with", "told"), [("1.2-3-gabc", "1.2-3-gabc"), ("", version("broadsheet"))])
def test_a_process_tells_the_release_that_its_image_was_built_with(built_with: str, told: str) -> None:
    program = (
        "from libs.common import settings, telemetry; from prometheus_client import REGISTRY;"
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
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_the_image_keeps_the_release_that_compose_builds_it_with() -> None:
    build = read(COMPOSE)["x-broadsheet"]["build"]
    assert build["args"] == {"BROADSHEET_RELEASE": "${BROADSHEET_RELEASE:-}"}
    last_stage = (ROOT / build["dockerfile"]).read_text().rpartition("\nFROM ")[2]
    assert "ARG BROADSHEET_RELEASE\nENV BROADSHEET_RELEASE=$BROADSHEET_RELEASE\n" in last_stage


def test_promtool_can_read_each_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:query:{number}", "expr": expr} for number, expr in enumerate(queries())]
    generated = tmp_path / "dashboard.yml"
    generated.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", str(generated))


@pytest.mark.parametrize("name", alerts())
def test_the_runbook_says_what_to_do_about_each_alert(name: str) -> None:
    assert re.search(rf"^#+ {name}$", RUNBOOK.read_text(), re.MULTILINE)
