"""What is in `deploy/` for Prometheus and Grafana."""

import json
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
COMPOSE = ROOT / "docker-compose.yml"
MONITORING = ROOT / "deploy/docker-compose.monitoring.yml"
HEALTH_PORT = "BROADSHEET_HEALTH_PORT"


def queries() -> list[str]:
    """Return all queries of the dashboard, with Grafana's own variables filled in."""
    board = json.loads(DASHBOARD.read_text())
    exprs = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    exprs += [item["expr"] for item in board["annotations"]["list"]]
    return [expr.replace("$__rate_interval", "1m") for expr in exprs]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def asked() -> dict[str, Any]:
    """Return what Prometheus asks DNS for."""
    [found] = read(PROMETHEUS / "prometheus.yml")["scrape_configs"][0]["dns_sd_configs"]
    assert isinstance(found, dict)
    return found
