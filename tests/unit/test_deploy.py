"""What is in `deploy/`, as far as no container is needed to tell."""

import json
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from libs.common.settings import DEVELOPMENT_ONLY

ROOT = Path(__file__).parents[2]
RABBITMQ = ROOT / "deploy" / "rabbitmq"
SIMULATED = ROOT / "deploy" / "simulated"
#: What issue 4 names: the last release of the plugin, for the last series of brokers that loads it.
PLUGIN = "f168b2c09810cde3726961d31f38e3408e6a7fbff3929908d6f962061d8e70a1"
PLUGIN_URL = (
    "https://github.com/rabbitmq/rabbitmq-delayed-message-exchange/releases/download/v4.2.0/"
    "rabbitmq_delayed_message_exchange-4.2.0.ez"
)
PLUGIN_FILE = "/rabbitmq_delayed_message_exchange-4.2.0.ez"
OWN = {"missive_token", "missive_webhook_secret", "twilio_auth_token"}


def secrets(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


def test_every_secret_of_the_simulated_deployment_says_that_it_is_none() -> None:
    for name, secret in secrets(SIMULATED).items():
        assert DEVELOPMENT_ONLY in secret, name


def test_the_simulator_knows_the_secrets_that_the_services_use() -> None:
    known = json.loads((SIMULATED / "simulator.json").read_text())
    assert {name: known[name] for name in OWN} == {name: secrets(SIMULATED)[name] for name in OWN}


def test_the_broker_gets_one_plugin_and_only_if_it_is_the_very_file() -> None:
    lines = (RABBITMQ / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    assert [line.split() for line in lines if line.startswith(("FROM", "ADD", "COPY", "RUN"))] == [
        ["FROM", "${PYTHON_IMAGE}", "AS", "plugin"],
        ["COPY", "fetch_plugin.py", "/"],
        ["RUN", "python", "/fetch_plugin.py", PLUGIN_URL, PLUGIN, PLUGIN_FILE],
        ["FROM", "${RABBITMQ_PLUGIN_IMAGE}"],
        ["COPY", "--from=plugin", "--chmod=0644", PLUGIN_FILE, "/opt/rabbitmq/plugins/"],
        ["RUN", "rabbitmq-plugins", "enable", "--offline", "rabbitmq_delayed_message_exchange"],
    ]


def test_one_build_makes_the_image_of_all_services_and_nobody_elses_is_fetched() -> None:
    """Two builds left six untagged copies of it."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {name: service for name, service in services.items() if "BROADSHEET_IMAGE" in service.get("image", "")}
    assert len(ours) > 7
    assert [name for name, service in ours.items() if "build" in service] == ["migrate"]
    assert {service["pull_policy"] for name, service in ours.items() if name != "migrate"} == {"never"}


def test_every_image_that_is_fetched_can_be_pinned() -> None:
    for path in (*ROOT.glob("docker-compose*.yml"), ROOT / "deploy" / "docker-compose.monitoring.yml"):
        for line in path.read_text().splitlines():
            if line.strip().startswith("image:"):
                assert "_IMAGE" in line, f"{path.name}: {line}"
