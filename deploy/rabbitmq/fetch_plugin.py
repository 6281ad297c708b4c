"""Fetches the delayed-message plugin while the image is built, or says in one line what to do without it.

fetch_plugin.py URL SHA256 FILE
"""

import hashlib
import sys
import urllib.request
from pathlib import Path

PATIENCE = 60  # seconds
WITHOUT = (
    "A stock broker does without it, and steps are delayed by a ladder of queues: "
    "echo RABBITMQ_IMAGE=rabbitmq:4-management >> .env, and build again"
)


def main(url: str, expected: str, file: str) -> str:
    """Write the plugin to a file; return why it could not be had, empty if it could."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - the Dockerfile names it
            content = answer.read()
    except (OSError, ValueError) as error:
        return f"could not be fetched from {url} ({str(error).strip() or type(error).__name__})"
    if hashlib.sha256(content).hexdigest() != expected:
        return f"is not the file that it should be at {url}"
    Path(file).write_bytes(content)
    return ""


if __name__ == "__main__":
    problem = main(*sys.argv[1:])
    if problem:
        sys.exit(f"The delayed-message plugin {problem}. {WITHOUT}")
