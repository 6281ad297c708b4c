"""PostgreSQL and RabbitMQ on this machine, for whoever has named no server of their own."""

from libs.local.errors import LocalServerError, NotInstalled, NotOurs, PortTaken, StartFailed
from libs.local.stack import Servers, Stack, start

__all__ = ["LocalServerError", "NotInstalled", "NotOurs", "PortTaken", "Servers", "Stack", "StartFailed", "start"]
