"""The API's description, held against the API by two programs that know nothing else of it.

They are in an environment of their own (`make .venv/contract/.set-up`, which `make test` does).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from services.api import app
from tests.contract import fuzzing, serving
from tests.contract.__main__ import SEED

pytestmark = pytest.mark.skipif(
    not (serving.TOOLS / "schemathesis").exists(), reason="the tools are not there: make .venv/contract/.set-up"
)

CONFIGURATION = Path(__file__).with_name("client.yml")
SESSION = Path(__file__).with_name("client_session.py")


@pytest.mark.timeout(600)
def test_a_thousand_requests_made_from_the_description_find_nothing_that_it_does_not_tell(tmp_path: Path) -> None:
    outcome = fuzzing.run(tmp_path, examples=1, seed=SEED, within=580)
    assert outcome.passed, outcome.output[-20_000:]
    assert outcome.cases >= 1000


@pytest.mark.timeout(300)
def test_a_client_that_is_generated_from_the_description_works(tmp_path: Path) -> None:
    description, package = tmp_path / "openapi.json", tmp_path / "client/broadsheet_client"
    description.write_text(json.dumps(app.description()))
    variables = {"PATH": f"{serving.TOOLS}:{os.environ['PATH']}"}
    generate = [
        str(serving.TOOLS / "openapi-python-client"), "generate", "--path", str(description), "--config",
        str(CONFIGURATION), "--meta", "none", "--output-path", str(package), "--fail-on-warning",
    ]  # fmt: skip
    generated = subprocess.run(generate, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "Warning" not in generated.stdout + generated.stderr
    with serving.serving(tmp_path) as served:
        session = [str(serving.TOOLS / "python"), "-W", "error", str(SESSION), served.url, serving.KEY]
        variables["PYTHONPATH"] = str(package.parent)
        done = subprocess.run(session, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
