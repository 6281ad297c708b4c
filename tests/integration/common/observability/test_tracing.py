"""What a service imports for traces: nothing where nobody collects them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def imported(**environment: str) -> str:
    code = (
        "import sys; from services.sender import app; from libs.common.observability import tracing;"
        "tracing.configure('sender');"
        "print(tracing.on(), 'opentelemetry.sdk' in sys.modules)"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=plain | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_a_collector_opentelemetrys_sdk_is_not_even_imported() -> None:
    assert imported() == "False False"
    assert imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_SDK_DISABLED="true") == "False False"


def test_the_standard_variable_turns_traces_on() -> None:
    assert imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == "True True"
