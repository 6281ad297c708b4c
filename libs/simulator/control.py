"""The control API under `/_simulator`; what it takes and gives stands in `libs.simulator.app`."""

from typing import Annotated, Any

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, JSONBody, QueryParameter

from libs.simulator import ledger, missive_labels
from libs.simulator.config import Config, is_phone_number, merged
from libs.simulator.faults import Fault
from libs.simulator.network import Network

PATH = "/_simulator"


class Note(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that comes from somebody's fingers."""

    from_number: str = msgspec.field(name="from")
    to: str
    body: str

    def __post_init__(self) -> None:
        if not is_phone_number(self.from_number) or not is_phone_number(self.to):
            raise ValueError("from and to are phone numbers like +13135550100")


class Labels(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The labels of the conversation of a handset with a number of ours."""

    from_number: str = msgspec.field(name="from")
    to: str
    #: Ids.
    labels: list[str]
    #: Whether the rule's webhook tells of it.
    tell: bool = True


@get(["/health/live", PATH + "/health/live"])
async def live() -> dict[str, str]:
    """Return that the process is alive."""
    return {"status": "live"}


@get(PATH + "/config")
async def read_config(network: NamedDependency[Network]) -> Config:
    """Return the configuration."""
    return network.config


@put(PATH + "/config")
async def change_config(network: NamedDependency[Network], data: JSONBody[dict[str, Any]]) -> Config:
    """Change a part of the configuration."""
    try:
        network.configure(merged(network.config, data))
    except msgspec.ValidationError as problem:
        raise ValidationException(str(problem)) from problem
    return network.config


@post(PATH + "/faults")
async def add_faults(network: NamedDependency[Network], data: JSONBody[Fault | list[Fault]]) -> list[int]:
    """Put faults in force, and give their numbers."""
    return [network.faults.add(fault) for fault in (data if isinstance(data, list) else [data])]


@get(PATH + "/faults")
async def read_faults(network: NamedDependency[Network]) -> list[dict[str, object]]:
    """Return the faults in force and what they did."""
    return network.faults.report()


@delete(PATH + "/faults")
async def end_faults(network: NamedDependency[Network]) -> None:
    """End all faults."""
    network.faults.clear()


@get(PATH + "/ledger")
async def read_ledger(network: NamedDependency[Network], *, messages: FromQuery[bool] = True) -> dict[str, Any]:
    """Return every message there was."""
    return network.ledger.report(messages=messages, equal_by_design=network.config.equal_by_design)


@get(PATH + "/requests")
async def read_requests(
    network: NamedDependency[Network],
    kind: FromQuery[str | None] = None,
    *,
    listed: Annotated[bool, QueryParameter(name="list")] = True,
) -> dict[str, Any]:
    """Return every request there was."""
    return network.request_log.report(kind=kind, listed=listed)


@get(PATH + "/webhooks")
async def read_webhooks(network: NamedDependency[Network]) -> list[dict[str, Any]]:
    """Return every webhook there was."""
    return network.webhooks.report()


@post(PATH + "/inbound")
async def text_from_handset(network: NamedDependency[Network], data: JSONBody[Note]) -> dict[str, Any]:
    """Let a handset text now."""
    return ledger.inbound(network.receive(from_number=data.from_number, to=data.to, body=data.body))


@post(PATH + "/outbound")
async def text_by_hand(network: NamedDependency[Network], data: JSONBody[Note]) -> dict[str, Any]:
    """Let somebody of staff text by hand."""
    return ledger.outbound(network.accept(carrier="staff", from_number=data.from_number, to=data.to, body=data.body))


@put(PATH + "/labels")
async def label(network: NamedDependency[Network], data: JSONBody[Labels]) -> dict[str, Any]:
    """Let somebody of staff put labels on a conversation, in place of those that it has."""
    changed = missive_labels.put(network, data.to, data.from_number, data.labels, tell=data.tell)
    return missive_labels.told(network, changed)


@post(PATH + "/reset")
async def reset(network: NamedDependency[Network]) -> dict[str, str]:
    """Forget all that happened."""
    await network.reset()
    return {"status": "reset"}


HANDLERS = (
    live,
    read_config,
    change_config,
    add_faults,
    read_faults,
    end_faults,
    read_ledger,
    read_requests,
    read_webhooks,
    text_from_handset,
    text_by_hand,
    label,
    reset,
)
