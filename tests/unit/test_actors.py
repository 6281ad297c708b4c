"""Whatever writes names who does it: each service, and the command line, has an actor for what it does by itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: These only look.
READERS = {"libs/common/database/probe.py", "libs/console/doctor.py"}


def engines() -> list[tuple[str, ast.Call]]:
    """Return each call in the product that makes an engine, with its file."""
    return [
        (str(path.relative_to(ROOT)), node)
        for path in sorted([*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "database.create_engine"
    ]


def test_every_engine_that_something_is_written_with_has_an_actor() -> None:
    found = engines()
    assert len(found) > 10
    without = {path for path, call in found if "actor" not in {keyword.arg for keyword in call.keywords}}
    assert without == READERS
