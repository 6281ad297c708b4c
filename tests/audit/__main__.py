"""`make audit`: licences, known vulnerabilities. Exit status 1 for what was found, 2 for an audit that broke.

That nobody could be asked about vulnerabilities is said, and is no failure: a machine without the service goes on.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from tests.audit import advisories, licences
from tests.audit.locks import AUDIT, DEVELOPMENT

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Audit, or write the list of licences; return the exit status."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--tools", type=Path, required=True, help="the folder with pip-audit and pip-licenses")
    parser.add_argument("--write-licences", action="store_true", help="write docs/licences.md and do no more")
    parser.add_argument("--osv-url", help="another OSV than the public one; then PyPI is not asked")
    asked = parser.parse_args()
    allowed = licences.policy()
    packages = licences.installed(str(asked.tools / "pip-licenses"), allowed)
    scripts = licences.bundled(allowed)
    if asked.write_licences:
        licences.LIST.write_text(licences.text(packages, scripts, allowed))
        return 0
    return max(_licences(packages, scripts, allowed), _advisories(asked.tools / "pip-audit", asked.osv_url))


def _licences(packages: list[licences.Package], scripts: list[licences.Package], allowed: licences.Policy) -> int:
    wrong = [each for each in (*packages, *scripts) if licences.refused(each, allowed)]
    for each in wrong:
        console.print(
            f"licences: {each.name} {each.version} is under {each.licence!r}, which pyproject.toml does not allow"
        )
    if licences.LIST.read_text() != licences.text(packages, scripts, allowed):
        console.print("licences: docs/licences.md is not what the locked packages say: run `make licences`")
        return 1
    if not wrong:
        console.print(f"licences: {len(packages) + len(scripts)} packages, all allowed")
    return 1 if wrong else 0


def _advisories(pip_audit: Path, osv_url: str | None) -> int:
    services = ("osv",) if osv_url else advisories.SERVICES
    options = ("--osv-url", osv_url) if osv_url else ()
    for service in services:
        try:
            # The lock of those who develop holds what runs in production, too.
            answers = [advisories.ask(str(pip_audit), lock, service, *options) for lock in (DEVELOPMENT, AUDIT)]
        except advisories.NobodyToAsk as error:
            console.print(f"vulnerabilities: {service} could not be reached: {error}")
            continue
        except advisories.Broken as error:
            console.print(f"vulnerabilities: the audit itself failed: {error}")
            return 2
        found = sorted({line for answer in answers for line in answer.found})
        for line in found:
            console.print(f"vulnerabilities: {line}")
        if skipped := sorted({name for answer in answers for name in answer.skipped}):
            console.print(f"vulnerabilities: {service} does not know {', '.join(skipped)}")
        if not found:
            console.print(f"vulnerabilities: {service} knows of none in {sum(a.known for a in answers)} packages")
        return 1 if found else 0
    console.print("vulnerabilities: NOT CHECKED, no service could be reached from here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
