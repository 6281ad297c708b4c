"""Servers that a run may crash and wipe: a stack of this folder's own, started on first use."""

from collections.abc import Iterator

import pytest

from libs import local
from tests.chaos.service_processes import ROOT


@pytest.fixture(scope="package")
def stack() -> Iterator[local.Stack]:
    """PostgreSQL and RabbitMQ for the chaos rig alone."""
    with local.start(ROOT, ephemeral=True) as running:
        yield running
