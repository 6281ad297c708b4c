"""`python -m libs.local [stop|remove]`: end the servers that a killed process has left running; remove their data."""

import sys
from pathlib import Path

from libs.local.errors import LocalServerError
from libs.local.stack import end_all


def main(arguments: list[str]) -> int:
    """Do what the one argument says, in the folder where this is run."""
    if arguments not in (["stop"], ["remove"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        end_all(Path.cwd(), remove=arguments == ["remove"])
    except LocalServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
