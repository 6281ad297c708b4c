"""schemathesis against the API: all checks, all phases, on a database with something in it."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.contract import serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("hooks.py")
THINGS = 5  # contacts, segments, broadcasts, users, keys, keywords and replies that there are at the start


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    passed: bool
    cases: int
    output: str


def run(folder: Path, *, examples: int, seed: int, within: float) -> Outcome:
    """Run schemathesis with so many examples an operation in its random phases."""
    with serving.serving(folder) as served:
        fill(served)
        variables = {"PATH": os.environ["PATH"], "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HOOKS.parent)}
        arguments = [
            str(serving.TOOLS / "schemathesis"), "--config-file", str(CONFIGURATION),
            "run", f"{served.url}/schema/openapi.json", "--header", f"Authorization: Bearer {serving.KEY}",
            "--checks", "all", "--max-examples", str(examples), "--seed", str(seed),
        ]  # fmt: skip
        done = subprocess.run(
            arguments, cwd=folder, env=variables, capture_output=True, text=True, timeout=within, check=False
        )
    output = done.stdout + done.stderr
    counted = re.search(r"(\d+) generated", output)
    return Outcome(passed=done.returncode == 0, cases=int(counted[1]) if counted else 0, output=output)


def fill(served: serving.Served) -> None:
    """Have something there that ids may name."""
    with served.client as client:
        lines = "".join(f"+1313555{number:04},Ann,north\n" for number in range(101, 101 + THINGS))
        client.post(
            "/contacts/import", content=f"phone_number,name,tags\n{lines}", headers={"Content-Type": "text/csv"}
        )
        for number in range(1, THINGS + 1):
            client.post("/segments", json={"name": f"segment {number}", "filter": {"all": []}}).raise_for_status()
            wish = {
                "run_at": (datetime.now(UTC) + timedelta(days=number)).isoformat(),
                "first_message": "Hello", "second_message": "Still there?", "max_recipients": 10,
                "segments": [{"segment_id": number, "ratio": 100}],
            }  # fmt: skip
            client.post("/broadcasts", json=wish).raise_for_status()
            user = {"email": f"user{number}@example.org", "name": "Ana", "role": "admin"}
            client.post("/users", json=user).raise_for_status()
            keyword = {"word": f"thing{number}", "tag": "north", "welcome": "Reply STOP to end"}
            client.post("/keywords", json=keyword).raise_for_status()
            client.post("/keys", json={"name": f"key {number}", "scopes": ["read"]}).raise_for_status()
            _reply(client, number)


def _reply(client: httpx.Client, number: int) -> None:
    """Have a contact write, as Missive tells of it."""
    body = json.dumps({
        "rule": {"id": "rule", "type": "incoming_twilio_message"},
        "message": {
            "id": f"m{number}", "preview": "Potholes on Main Street",
            "type": "twilio", "delivered_at": int(time.time()),
            "from_field": {"phone_number": f"+1313555{100 + number:04}"},
            "to_fields": [{"phone_number": serving.NUMBER}],
        },
    }).encode()  # fmt: skip
    signature = hmac.new(serving.MISSIVE_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hook-Signature": f"sha256={signature}", "Content-Type": "application/json"}
    client.post("/webhooks/missive", content=body, headers=headers).raise_for_status()
