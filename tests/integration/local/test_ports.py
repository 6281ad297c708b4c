import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.local import ports
from libs.local.errors import PortTaken


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.HOST, 0)) as listener:
        yield listener.getsockname()[1]


def test_a_seed_always_prefers_the_same_ports() -> None:
    assert ports.choose(42, demanded=None, last=None) == ports.choose(42, demanded=None, last=None)


def test_all_ports_lie_below_those_of_outgoing_connections() -> None:
    assert ports.FIRST + ports.BLOCKS * 4 <= 32_768


def test_the_ports_on_record_come_first() -> None:
    last = ports.choose(7, demanded=None, last=None)

    assert ports.choose(42, demanded=None, last=last) == last


def test_a_block_with_one_taken_port_is_passed_over(taken: int) -> None:
    free = ports.choose(7, demanded=None, last=None)
    last = ports.Ports(amqp=free.amqp, management=taken, distribution=free.distribution, names=free.names)

    assert taken not in vars_of(ports.choose(42, demanded=None, last=last))


def test_a_demanded_port_is_had(taken: int) -> None:
    demanded = ports.choose(1000, demanded=None, last=None).names

    assert ports.choose(42, demanded=demanded, last=None).amqp == demanded


def test_a_demanded_port_that_is_taken_is_refused_with_who_needs_what(taken: int) -> None:
    with pytest.raises(PortTaken, match=rf"Port {taken} was asked for, for the local RabbitMQ, but .+ has it"):
        ports.choose(42, demanded=taken, last=None)


def test_a_record_is_read_back(tmp_path: Path) -> None:
    chosen = ports.choose(42, demanded=None, last=None)
    chosen.write(tmp_path / "ports.json")

    assert ports.read(tmp_path / "ports.json") == chosen


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"amqp": 1}', json.dumps({"amqp": "x"})])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)

    assert ports.read(tmp_path / "ports.json") is None


def vars_of(chosen: ports.Ports) -> set[int]:
    return {chosen.amqp, chosen.management, chosen.distribution, chosen.names}
