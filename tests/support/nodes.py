"""Brokers of a test's own, which it may stop, wipe and set up as it likes: the installed RabbitMQ.

The delayed-message plugin is used where it is: among the installed ones, or in the folder that
BROADSHEET_TEST_PLUGINS names (unpacked, as in /usr/lib/rabbitmq/plugins).
"""

import os
from pathlib import Path

import pytest

from libs.local import rabbitmq
from libs.local.rabbitmq import RabbitMQ

PLUGIN = "rabbitmq_delayed_message_exchange"
FOLDER = os.environ.get("BROADSHEET_TEST_PLUGINS", "")


def has_plugin() -> bool:
    """Whether a node can be started that delays by the plugin."""
    folders = [rabbitmq.installed_plugins(), *([Path(FOLDER)] if FOLDER else [])]
    return any(True for folder in folders for _ in folder.glob(f"{PLUGIN}-*"))


def needs_plugin() -> None:
    """Skip, naming what is missing, unless the installed RabbitMQ can delay by the plugin."""
    if not has_plugin():
        pytest.skip(f"the installed RabbitMQ has no plugin {PLUGIN} (exchange type x-delayed-message)")


def node(folder: Path, *, plugin: bool = False, configuration: str = "") -> RabbitMQ:
    """Return a node that is not started yet."""
    plugins = (PLUGIN,) if plugin else ()
    return RabbitMQ(folder, management=False, plugins=plugins, plugins_folder=FOLDER, configuration=configuration)
