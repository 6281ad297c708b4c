"""Alert rules and dashboard: that they name what there is."""

import json
import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support import metrics
from tests.support.monitoring import COMPOSE, DASHBOARD, MONITORING, PROMETHEUS, ROOT, asked, queries, read

RUNBOOK = ROOT / "docs/operate.md"
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


def test_the_dashboard_shows_every_metric_that_the_planner_measures_and_what_happens_to_messages() -> None:
    shown = {name for expr in queries() for name in NAME.findall(expr)}
    wanted = {item.name for item in metrics.known() if item.type == "gauge" or "messages" in item.name}
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
        assert {message.partition("=")[2].strip('"') for message in route["matchers"]} <= severities


def test_the_image_keeps_the_release_that_compose_builds_it_with() -> None:
    build = read(COMPOSE)["services"]["migrate"]["build"]
    assert build["args"]["BROADSHEET_RELEASE"] == "${BROADSHEET_RELEASE:-}"
    last_stage = (ROOT / build["dockerfile"]).read_text().rpartition("\nFROM ")[2]
    assert "ARG BROADSHEET_RELEASE\nENV BROADSHEET_RELEASE=$BROADSHEET_RELEASE\n" in last_stage


@pytest.mark.parametrize("name", alerts())
def test_the_runbook_says_what_to_do_about_each_alert(name: str) -> None:
    assert re.search(rf"^#+ {name}$", RUNBOOK.read_text(), re.MULTILINE)
