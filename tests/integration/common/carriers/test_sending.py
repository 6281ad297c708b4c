"""What both carriers promise of a request to send, over real connections."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from libs.common.carriers.outcomes import Accepted, Deferred, Unknown
from tests.support import loopback
from tests.support.carrier_samples import CARRIERS, TO, CreateCarrier, failing, send
from tests.support.loopback import Loopback, answer

pytestmark = pytest.mark.parametrize(("create", "success"), CARRIERS.values(), ids=CARRIERS)


def yes_times(count: int) -> Callable[[], bool]:
    """Return a guard that says yes so many times."""
    answers: Iterator[bool] = iter([True] * count)
    return lambda: next(answers, False)


async def test_a_message_that_the_carrier_takes_is_accepted(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        assert isinstance(await send(create(server.url)), Accepted)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (loopback.cut_after_reading, "connection_lost"),
        (loopback.close_after_reading, "connection_lost"),
        (loopback.cut_within_answer, "connection_lost"),
        (loopback.answer_gibberish, "connection_lost"),
        (loopback.never_answer, "timeout"),
        (loopback.drip, "timeout"),
        (answer(201, b"<html>Welcome to the hotel's network"), "unreadable_answer"),
        (answer(201, b"[" * 100_000), "unreadable_answer"),
        (answer(201, {"something": "else"}), "unreadable_answer"),
        (answer(200, b""), "unreadable_answer"),
        (answer(201, b"not gzip", {"Content-Encoding": "gzip"}), "unreadable_answer"),
        (answer(302, b"", {"Location": "/elsewhere"}), "gateway_302"),
        (answer(500), "gateway_500"),
        (answer(502, b"<html>"), "gateway_502"),
        (answer(503, b"", {"Retry-After": "5"}), "gateway_503"),
        (answer(504), "gateway_504"),
        (answer(599), "gateway_599"),
    ],
)
async def test_a_request_without_an_answer_that_says_what_came_of_it_is_unknown(
    create: CreateCarrier, success: object, behaviour: loopback.Behaviour, reason: str
) -> None:
    async with Loopback(behaviour) as server:
        # An answer that comes is waited for, however long it takes on a busy machine.
        outcome = await send(create(server.url, timeout=1.0 if reason == "timeout" else 30.0))
    assert isinstance(outcome, Unknown)
    assert (outcome.reason, outcome.retry_after) == (reason, 5 if reason == "gateway_503" else None)


async def test_too_many_requests_tells_for_how_long_to_wait(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(429, b"", {"Retry-After": "17"})) as server:
        result = await send(create(server.url))
    assert isinstance(result, Deferred)
    assert result.retry_after == 17


async def test_a_connection_that_is_refused_defers_the_message(create: CreateCarrier, success: object) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        result = await send(create(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert isinstance(result, Deferred)
    assert result.code == "connect_failed"


async def test_a_handshake_that_fails_defers_the_message(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        result = await send(create(server.url.replace("http:", "https:"), timeout=5.0))
    assert isinstance(result, Deferred)


async def test_a_connection_that_is_cut_before_the_body_is_read_settles_nothing(
    create: CreateCarrier, success: object
) -> None:
    # Headers and body leave one right after the other: where the cut falls between them is up to the machine.
    async with Loopback(loopback.cut_before_reading) as server:
        assert isinstance(await send(create(server.url)), Unknown | Deferred)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ConnectError("no such name"), "connect_failed"),
        (httpx.ConnectTimeout("slow"), "connect_timeout"),
        (httpx.PoolTimeout("busy"), "pool_timeout"),
        (httpx.ProxyError("403"), "connect_failed"),
        (httpx.UnsupportedProtocol("gopher"), "connect_failed"),
    ],
)
async def test_a_failure_before_there_is_a_connection_defers_the_message(
    create: CreateCarrier, success: object, error: Exception, code: str
) -> None:
    async with failing(error) as client:
        result = await send(create("http://carrier", client=client))
    assert isinstance(result, Deferred)
    assert result.code == code


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("cut"),
        httpx.WriteError("cut"),
        httpx.CloseError("cut"),
        httpx.RemoteProtocolError("gibberish"),
        httpx.DecodingError("no gzip"),
        TimeoutError(),
        ConnectionResetError(),
    ],
)
async def test_any_other_failure_is_unknown_where_nobody_tells_how_far_the_request_got(
    create: CreateCarrier, success: object, error: Exception
) -> None:
    async with failing(error) as client:
        assert isinstance(await send(create("http://carrier", client=client)), Unknown)


async def test_a_request_that_waits_in_vain_for_a_connection_is_deferred(
    create: CreateCarrier, success: object
) -> None:
    async with Loopback(loopback.never_answer) as server:
        carrier = create(server.url, timeout=1.0, max_connections=1)
        first, second = await asyncio.gather(send(carrier, close=False), send(carrier, close=False))
        await carrier.aclose()
    assert isinstance(first, Unknown)
    assert isinstance(second, Deferred)


async def test_a_worker_that_may_not_send_opens_no_connection(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        result = await send(create(server.url), may_still_send=lambda: False)
        assert (isinstance(result, Deferred) and result.code, server.connections) == ("not_started", 0)


async def test_a_worker_that_lost_its_batch_while_connecting_writes_nothing(
    create: CreateCarrier, success: object
) -> None:
    async with Loopback(answer(201, success)) as server:
        result = await send(create(server.url), may_still_send=yes_times(1))
        assert (isinstance(result, Deferred) and result.code, server.bytes_received) == ("not_started", 0)


async def test_a_worker_that_lost_its_batch_after_the_headers_does_not_write_whom_to_send_to(
    create: CreateCarrier, success: object
) -> None:
    async with Loopback(answer(201, success)) as server:
        result = await send(create(server.url), may_still_send=yes_times(2))
        await asyncio.sleep(0.05)
        bodies = [received.body for received in server.received]
    assert (isinstance(result, Deferred) and result.code, bodies) == ("not_started", [b""])


async def test_the_guard_holds_on_a_connection_that_is_used_again(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        carrier = create(server.url)
        await send(carrier, close=False)
        await send(carrier, may_still_send=yes_times(1))
        await asyncio.sleep(0.05)
        assert (server.connections, len(server.received)) == (1, 1)


async def test_a_client_still_works_after_the_guard_said_no(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        carrier = create(server.url, max_connections=1)
        await send(carrier, may_still_send=yes_times(2), close=False)
        assert isinstance(await send(carrier), Accepted)


async def never_ready() -> bool:
    return False


async def test_a_request_without_a_slot_is_not_written(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        result = await send(create(server.url), ready=never_ready)
        assert (isinstance(result, Deferred) and result.code, server.bytes_received) == ("not_started", 0)


async def test_a_request_waits_for_its_slot_on_a_connection_that_is_open(
    create: CreateCarrier, success: object
) -> None:
    """Opening a connection takes a while, and comes before the slot is looked at."""
    connected = []

    async def ready() -> bool:
        await asyncio.sleep(0.05)
        connected.append((server.connections, server.bytes_received))
        return True

    async with Loopback(answer(201, success)) as server:
        assert isinstance(await send(create(server.url), ready=ready), Accepted)
    assert connected == [(1, 0)]


async def test_nothing_is_ever_asked_for_twice(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(500), answer(201, success)) as server:
        await send(create(server.url))
        assert len(server.received) == 1


async def test_a_redirect_is_not_followed_even_by_a_client_that_would(create: CreateCarrier, success: object) -> None:
    async with (
        Loopback(answer(307, b"", {"Location": "/again"})) as server,
        httpx.AsyncClient(follow_redirects=True) as client,
    ):
        await send(create(server.url, client=client))
        assert len(server.received) == 1


async def test_a_call_ends_in_time_though_every_single_read_does(create: CreateCarrier, success: object) -> None:
    async with Loopback(loopback.drip) as server:
        started = time.monotonic()
        await send(create(server.url, timeout=0.3))
        assert time.monotonic() - started < 30  # of the hundreds that the answer would take


async def test_connections_are_few_and_used_again(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server:
        carrier = create(server.url, max_connections=2)
        await asyncio.gather(*(send(carrier, close=False) for _ in range(6)))
        await carrier.aclose()
        assert server.connections <= 2


async def test_a_callers_client_is_left_open(create: CreateCarrier, success: object) -> None:
    async with Loopback(answer(201, success)) as server, httpx.AsyncClient() as client:
        await create(server.url, client=client).aclose()
        assert not client.is_closed


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_what_the_carrier_says_of_people_stays_out_of_the_outcome(
    create: CreateCarrier, success: object, status: int
) -> None:
    words = {"code": 13135550111, "message": f"The number {TO} is not valid", "error": {"message": f"{TO}: Hello"}}
    async with Loopback(answer(status, words)) as server:
        result = await send(create(server.url))
    assert "3135550111" not in repr(result)


async def test_no_phone_number_is_logged(
    create: CreateCarrier, success: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Loopback(answer(201, success)) as server:
        await send(create(server.url))
    assert "3135550111" not in caplog.text
