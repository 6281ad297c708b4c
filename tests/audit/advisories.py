"""Known vulnerabilities of the locked packages, by pip-audit: PyPI's service, or OSV's where PyPI's says nothing.

To be told apart: something was found, nothing was found, nobody could be asked. An index that stands in for PyPI may
answer without knowing of vulnerabilities; pip-audit then skips every package and calls that a success. We do not.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
TIME_LIMIT = 300  # seconds
TIMEOUT = "15"  # seconds for one answer

#: What tells in pip-audit's last line that it was the network, not the packages. Its own errors and those of requests.
AWAY = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError", "Timeout", "HTTPError",
        "ServiceError", "Could not connect", "temporarily down", "Max retries exceeded")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service said."""

    #: How many packages it knows.
    known: int
    #: Packages that it does not.
    skipped: tuple[str, ...]
    #: A line a vulnerability.
    found: tuple[str, ...]


class NobodyToAsk(Exception):
    """The service could not be reached, or knows none of the packages."""


class Broken(Exception):
    """pip-audit failed for another reason than the network."""


def ask(pip_audit: str, lock: Path, service: str, *options: str) -> Answer:
    """Have pip-audit ask a service about every package of a lock. Raise NobodyToAsk, Broken."""
    command = [pip_audit, "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    command += ["--vulnerability-service", service, "--timeout", TIMEOUT, "--requirement", str(lock), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise NobodyToAsk(f"no answer within {TIME_LIMIT} s") from error
    return read(done.stdout, done.stderr)


def read(output: str, complaint: str) -> Answer:
    """Read what pip-audit printed. Raise NobodyToAsk, Broken."""
    last = next((line for line in reversed(complaint.splitlines()) if line.strip()), "")
    try:
        report: dict[str, Any] = json.loads(output)
    except ValueError:
        if any(word in last for word in AWAY):
            raise NobodyToAsk(last[:200]) from None
        raise Broken(last[:500] or "pip-audit said nothing") from None
    packages = report["dependencies"]
    skipped = tuple(each["name"] for each in packages if "skip_reason" in each)
    if len(skipped) == len(packages):
        raise NobodyToAsk("it answers, but knows none of the packages")
    found = tuple(
        f"{each['name']} {each['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no release'}"
        for each in packages
        for flaw in each.get("vulns", ())
    )
    return Answer(known=len(packages) - len(skipped), skipped=skipped, found=found)
