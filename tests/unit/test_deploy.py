"""What is in `deploy/`, as far as no container is needed to tell."""

import json
import subprocess
from pathlib import Path

from libs.common.settings import DEVELOPMENT_ONLY

ROOT = Path(__file__).parents[2]
SIMULATED = ROOT / "deploy" / "simulated"
#: What issue 4 names: the last release of the plugin, for the last series of brokers that loads it.
PLUGIN = "f168b2c09810cde3726961d31f38e3408e6a7fbff3929908d6f962061d8e70a1"
PLUGIN_URL = (
    "https://github.com/rabbitmq/rabbitmq-delayed-message-exchange/releases/download/v4.2.0/"
    "rabbitmq_delayed_message_exchange-4.2.0.ez"
)
OWN = {"missive_token", "missive_webhook_secret", "twilio_auth_token"}


def make_live(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "make-live", folder], capture_output=True, text=True, timeout=30, check=False
    )


def secrets(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


def test_every_secret_of_the_simulated_deployment_says_that_it_is_none() -> None:
    for name, secret in secrets(SIMULATED).items():
        assert DEVELOPMENT_ONLY in secret, name


def test_the_simulator_knows_the_secrets_that_the_services_use() -> None:
    known = json.loads((SIMULATED / "simulator.json").read_text())
    assert {name: known[name] for name in OWN} == {name: secrets(SIMULATED)[name] for name in OWN}


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


def test_the_broker_gets_one_plugin_and_only_if_it_is_the_very_file() -> None:
    lines = (ROOT / "deploy" / "rabbitmq" / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    assert [line.split() for line in lines if line.startswith(("FROM", "ADD", "COPY"))] == [
        ["FROM", "rabbitmq:4.2-management"],
        ["ADD", f"--checksum=sha256:{PLUGIN}", "--chmod=0644", PLUGIN_URL, "/opt/rabbitmq/plugins/"],
    ]
    assert lines[-1].split() == ["RUN", "rabbitmq-plugins", "enable", "--offline", "rabbitmq_delayed_message_exchange"]
