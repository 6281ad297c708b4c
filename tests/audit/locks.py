"""The locks: which packages they name, and with what."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
#: What runs in production; what develops, services included; what `make audit` itself uses.
SERVICES, DEVELOPMENT, AUDIT = (ROOT / "requirements" / f"{name}.txt" for name in ("services", "dev", "audit"))
#: What the desk's script is made of.
NPM = ROOT / "services" / "api" / "desk" / "assets" / "package-lock.json"
LOCKS = (SERVICES, DEVELOPMENT, AUDIT)

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.+))?$")
_HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package, pinned."""

    name: str
    version: str
    marker: Marker | None
    hashes: tuple[str, ...]


def pins(path: Path) -> list[Pin]:
    """Return the packages of a lock. Raise ValueError for a line that is neither a pin, a hash nor a comment."""
    found = []
    for entry in _entries(path):
        requirement, *rest = re.split(r"\s+(?=--)", entry)
        match = _PIN.match(requirement)
        if match is None or not all(_HASH.match(each) for each in rest):
            raise ValueError(f"{path.name}: not a pin with hashes: {entry[:80]}")
        marker = Marker(match["marker"]) if match["marker"] else None
        found.append(Pin(name=match["name"], version=match["version"], marker=marker, hashes=tuple(rest)))
    return found


def _entries(path: Path) -> Iterator[str]:
    """Yield the lines with what continues them, without comments."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    yield from (entry.strip() for entry in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines())
