"""docs/settings.md names every variable that the repository names."""

import re
import subprocess
from pathlib import Path

from libs.common.settings import PREFIX
from libs.console.settings_page import CONTAINERS, OTHERS, entries

ROOT = Path(__file__).parents[3]


#: Of tests, of what a file's name comes from, and of what a shell asks at the tab key.
NOT_SETTINGS = {"TEST_CONTAINERS", "EXAMPLES", "COMPLETE"}


def test_every_variable_that_stands_anywhere_is_on_the_page() -> None:
    """Half of the settings stood in no document under their name."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    named: dict[str, str] = {}
    for name in files:
        if name.startswith(("tests/", "docs/settings.md", "docs/runs/")) or not (ROOT / name).is_file():
            continue
        for variable in re.findall(rf"{PREFIX}([A-Z_]+[A-Z])\b", (ROOT / name).read_text(errors="replace")):
            named.setdefault(variable.removesuffix("_FILE"), name)
    known = {entry.name.upper() for entry in entries()} | {name for name, *_ in OTHERS}
    known |= {name.removeprefix(PREFIX) for name, *_ in CONTAINERS}
    assert {variable: place for variable, place in named.items() if variable not in known | NOT_SETTINGS} == {}
