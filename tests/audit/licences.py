"""Under which licence each package stands that runs in production, and whether we may ship it.

Allowed is what `[tool.broadsheet.licences]` of pyproject.toml says: names of licences, and for a package the reason
why another one will do. The list itself is docs/licences.md. Of Python's packages, pip-licenses reads the licences out
of what is installed; of those in the desk's script, npm's lock says them.
"""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.audit.locks import NPM, ROOT, SERVICES, pins

LIST = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences

What runs in production beside Broadsheet itself (Apache 2.0), by `requirements/services.txt`. `make licences` wrote it;
`make audit` fails on a licence that `[tool.broadsheet.licences]` in pyproject.toml does not allow.

| package | version | licence |
| --- | --- | --- |
"""
BUNDLED = """
## In the desk's script

npm's packages, which the build puts into the scripts that browsers load, by the lock
`services/api/desk/assets/package-lock.json`. What only builds it is not shipped.

| package | version | licence |
| --- | --- | --- |
"""
_ROW = re.compile(r"^\| (?P<name>[^ ]+) \| (?P<version>[^ ]+) \| (?P<licence>[^|]+?) \|$")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """A package with its licence; `UNKNOWN` where it says none."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be shipped."""

    #: Names of licences, as packages give them.
    allow: frozenset[str]
    #: Package to the reason why its licence, which is not among those, will do.
    because: dict[str, str]
    #: Licences of packages that are installed on other systems only, or whose description names none.
    elsewhere: dict[str, str]


def policy() -> Policy:
    """Read what is allowed."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["broadsheet"]["licences"]
    return Policy(allow=frozenset(table["allow"]), because=table.get("because", {}), elsewhere=table["elsewhere"])


def refused(package: Package, allowed: Policy) -> bool:
    """Return whether a package may not be shipped: a term that is not allowed, and no reason on record.

    Of alternatives (`OR`) one is enough; of what holds together (`AND`, `;`) each has to be allowed.
    """
    if package.name in allowed.because:
        return False
    together = re.split(r"\s+AND\s+|;\s*", package.licence)
    return not all(any(term in allowed.allow for term in each.split(" OR ")) for each in together)


def installed(pip_licenses: str, allowed: Policy) -> list[Package]:
    """Return the locked packages with the licences that the installed ones tell. Raise CalledProcessError."""
    told = subprocess.run(
        [pip_licenses, f"--python={sys.executable}", "--with-system", "--format=json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    licences = {canonicalize_name(each["Name"]): str(each["License"]) for each in json.loads(told)}
    found = []
    for pin in pins(SERVICES):
        name = canonicalize_name(pin.name)
        licence = licences.get(name) or allowed.elsewhere.get(name, "UNKNOWN")
        # Some put the whole message there; its first line is the name.
        found.append(Package(name=name, version=pin.version, licence=licence.strip().partition("\n")[0].strip()))
    return sorted(found)


def bundled(allowed: Policy) -> list[Package]:
    """Return npm's packages that the desk's script is made of."""
    locked = json.loads(NPM.read_text())["packages"]
    found = {path.rpartition("node_modules/")[2]: each for path, each in locked.items() if path and not each.get("dev")}
    return sorted(
        Package(
            name=name,
            version=each["version"],
            licence=each.get("license") or allowed.elsewhere.get(name, "UNKNOWN"),
        )
        for name, each in found.items()
    )


def written(path: Path = LIST) -> list[Package]:
    """Return what the list says, of Python's packages and npm's."""
    rows = (_ROW.match(line) for line in path.read_text().splitlines())
    found = [Package(**row.groupdict()) for row in rows if row]
    return [each for each in found if each.name not in ("package", "---")]


def text(packages: list[Package], scripts: list[Package], allowed: Policy) -> str:
    """Return the list as it is written: Python's packages, and those in the desk's script."""
    names = {each.name for each in (*packages, *scripts)}
    reasons = [f"- **{name}**: {why}" for name, why in sorted(allowed.because.items()) if name in names]
    exceptions = ["", "## Allowed for a reason", "", *reasons] if reasons else []
    return HEAD + _rows(packages) + BUNDLED + _rows(scripts) + "\n".join(exceptions) + ("\n" if exceptions else "")


def _rows(packages: list[Package]) -> str:
    return "".join(f"| {each.name} | {each.version} | {each.licence} |\n" for each in packages)
