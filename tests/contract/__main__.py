"""`make contract`: 10,000 requests that schemathesis makes up from the API's description, with all checks."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.contract import fuzzing
from tests.support import servers

SEED = 20260304


def main() -> None:
    """Run it, and end with status 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=120, help="requests an operation in the random phases")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--least", type=int, default=10_000, help="requests of which there must be so many at least")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome = fuzzing.run(Path(folder), examples=arguments.examples, seed=arguments.seed, within=3600)
    finally:
        servers.close()
    sys.stdout.write(outcome.output)
    sys.stdout.write(f"{outcome.cases} requests in {time.monotonic() - began:.0f} s\n")
    sys.exit(0 if outcome.passed and outcome.cases >= arguments.least else 1)


if __name__ == "__main__":
    main()
