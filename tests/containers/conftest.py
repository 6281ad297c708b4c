"""One image of this checkout a session, and one project that most tests look at."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.containers import support
from tests.containers.support import Stack


@pytest.fixture(scope="session", autouse=True)
def _asked_for() -> None:
    # They take minutes and an engine: `make test` leaves them to `make test-containers`.
    if not os.environ.get("BROADSHEET_TEST_CONTAINERS"):
        pytest.skip("run by `make test-containers`")
    support.needs_docker()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that containers can read files of."""
    path = tmp_path_factory.mktemp("containers")
    for each in (path, *path.parents[:2]):
        each.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def image(_asked_for: None, folder: Path) -> Iterator[str]:
    """The tag of this checkout's image."""
    tag = f"broadsheet-test:{uuid4().hex[:8]}"
    Stack(folder, tag).build()
    yield tag
    support.docker("image", "rm", "--force", tag, check=False)


@pytest.fixture(scope="session")
def running(folder: Path, image: str) -> Iterator[Stack]:
    """All services and the simulator, healthy, and a demo that has begun."""
    with support.stack(folder, image) as stack:
        stack.up()
        yield stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The one project that most look at comes last, so that it takes nothing from the others. Its demo begins as the
    # containers start, and takes most of a minute in which their rights can be looked at.
    last = ["test_hardening.py", "test_flow.py"]
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
