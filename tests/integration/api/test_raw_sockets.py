"""What no HTTP client would send: never a 500, and the API goes on answering."""

import hashlib
import hmac
import json
import logging
import random
import time

import pytest
from prometheus_client import REGISTRY

from tests.integration.api import served, support
from tests.integration.api.support import KEY, MISSIVE_SECRET, NOW, incoming

SEED = 20260304
REQUESTS = 600
SECONDS = 20.0  # after which no further request of the fuzz begins, if there was an answer of every kind
EVERY_KIND = {200, 204, 400, 401, 403, 404, 405, 415, 422}

WEBHOOKS = ("/webhooks/missive", "/webhooks/twilio/sms", "/webhooks/twilio/status")
PATHS = (
    *WEBHOOKS, "/health/live", "/metrics", "/schema/openapi.json", "/broadcasts", "/broadcasts/1", "/contacts/1",
    "/contacts/import", "/make", "/stop", "/segments", "/broadcasts/1/report.csv", "/broadcasts/1/stream", "/nothing",
    "/contacts?phone_number=%FF%00", "/broadcasts/%00", "/broadcasts/\xff", "/%", "//", "*", "http://x:y/broadcasts",
    "/webhooks/twilio/sms?\xff=%ff", "/broadcasts?cursor=%C0%80&limit=\xc3\x28", "/broadcasts/" + "9" * 5000,
)  # fmt: skip
#: Paths of POST and GET alike.
ROUTES = ("/broadcasts", "/segments", "/broadcasts/1", "/contacts/1", *WEBHOOKS)
HOSTS = ("x", "x:abc", "x:99999", "x:-1", "x:", "[::1", "[::1]:x", "a b", "\xff", "", "x\r\nHost: y", "@:@", "x:１")
KINDS = (
    "application/json", "text/csv", "multipart/form-data", "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\xff", "application/x-www-form-urlencoded", "application/json; charset=nothing",
    "", ";;;", "\x00", "text/csv; charset=\xff",
)  # fmt: skip
BODIES = (
    b"", b"{}", b"[" * 5000, b"\xff\xfe", b"a=b&" * 5000, b'{"name": "\\ud800", "filter": {"all": []}}', b"\x00" * 50,
    b"phone_number\n\xff\n", b'phone_number\n"' + b"x" * 200_000,
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\xff\xfe\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="f"\r\nContent-Type: text/plain; charset=no\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="\xff"\r\n\r\nx\r\n--b--\r\n',
    b"--b\r\n\r\nx\r\n--b--\r\n", b"--b\r\nContent-Dispo",
)  # fmt: skip
HEADERS = (
    "Authorization: Bearer \xff", "Authorization", "Idempotency-Key: \xff", "Idempotency-Key: ", "If-Match: \xff",
    "Content-Encoding: gzip", "Content-Length: x", "Content-Length: -1", "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked", "Transfer-Encoding: \xff", "Expect: 100-continue", "X-Hook-Signature: \xff",
    "X-Twilio-Signature: \xff", "traceparent: \xff", "Connection: Upgrade\r\nUpgrade: websocket", "Upgrade: h2c",
    " folded: x", "Cookie: \xff", "Accept: \xff", "Range: bytes=0-", "X: " + "x" * 9000,
)  # fmt: skip
METHODS = ("GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "BREW", "get", "\xff")


def frame(
    method: str, path: str, *headers: str, body: bytes = b"", host: str = "x", length: int | None = None
) -> bytes:
    """Write a request down, as wrong as it is."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body and length is None:
        length = len(body)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def anything(rng: random.Random) -> bytes:
    """Make a request that may be wrong in several places."""
    body = rng.choice(BODIES)
    headers = [f"Authorization: Bearer {KEY}" if rng.random() < 0.7 else "X-Nothing: x"]
    headers += rng.sample(HEADERS, rng.choice((0, 0, 0, 1, 2)))
    if rng.random() < 0.7:
        headers.append(f"Content-Type: {rng.choice(KINDS)}")
    length = rng.choice((*[None] * 10, len(body) + 1000, max(len(body) - 1, 0)))
    host = rng.choice(HOSTS) if rng.random() < 0.15 else "x"
    method = rng.choice(METHODS if rng.random() < 0.3 else METHODS[:4])
    path = rng.choice(PATHS if rng.random() < 0.5 else ROUTES)
    if rng.random() < 0.1:  # what gets as far as the file of an import
        method, path, headers = "POST", "/contacts/import", [headers[0], f"Content-Type: {rng.choice(KINDS[:5])}"]
    raw = frame(method, path, *headers, body=body, host=host, length=length)
    if rng.random() < 0.1:
        place = rng.randrange(len(raw))
        raw = raw[:place] + bytes([rng.randrange(256)]) + raw[place + 1 :]
    return raw


def errors() -> float:
    """Return how many answers were errors of ours, those included that nobody waited for."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    return sum(s.value for s in samples if s.name == "broadsheet_http_requests_error_total")


async def test_whatever_comes_over_the_wire_is_no_error_of_ours(
    shared_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(SEED)
    caplog.set_level(logging.ERROR)
    answered: dict[int | None, int] = {}
    failed = errors()
    async with served.serving(support.settings(shared_database)) as port:
        until = time.monotonic() + SECONDS
        for _ in range(REQUESTS):
            raw = anything(rng)
            answer = await served.exchange(port, raw, waits=0.3)
            code = served.status(answer)
            # A server may close a connection on which it can make out no request.
            assert code is None or code < 500, (raw[:2000], answer)
            answered[code] = answered.get(code, 0) + 1
            if time.monotonic() > until and answered.keys() >= EVERY_KIND:
                break
        assert served.status(await served.exchange(port, frame("GET", "/health/live"))) == 204
    assert [record.getMessage() for record in caplog.records] == []
    assert errors() == failed, "an answer that nobody waited for was an error of ours"
    assert answered.keys() >= EVERY_KIND, answered


@pytest.mark.parametrize("host", ["x:abc", "x:99999", "x\r\nHost: y"])
@pytest.mark.parametrize("path", ["/health/live", "/webhooks/missive", "/broadcasts"])
async def test_a_host_that_is_none_is_the_callers_fault(shared_database: str, host: str, path: str) -> None:
    async with served.serving(support.settings(shared_database)) as port:
        answer = await served.exchange(port, frame("GET", path, host=host))
    assert served.status(answer) == 400, answer


async def test_a_body_that_breaks_off_is_no_failed_webhook(shared_database: str) -> None:
    def count(source: str, result: str) -> float:
        return REGISTRY.get_sample_value("broadsheet_webhooks_total", {"source": source, "result": result}) or 0

    before = {path: (count(name(path), "aborted"), count(name(path), "failed")) for path in WEBHOOKS}
    failed = errors()
    async with served.serving(support.settings(shared_database)) as port:
        for path in WEBHOOKS:
            await served.exchange(port, frame("POST", path, body=b'{"message": ', length=500), waits=0.1)
    for path, (aborted, ours) in before.items():
        assert (count(name(path), "aborted"), count(name(path), "failed")) == (aborted + 1, ours)
    assert errors() == failed


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="note"\r\n\r\n\xff\xfe',
        b'Content-Disposition: form-data; name="note"\r\nContent-Type: text/plain; charset=nothing\r\n\r\nx',
    ],
)
async def test_a_field_of_a_form_that_is_not_utf_8_is_malformed(shared_database: str, part: bytes) -> None:
    headers = (f"Authorization: Bearer {KEY}", "Content-Type: multipart/form-data; boundary=b")
    raw = frame("POST", "/contacts/import", *headers, body=b"--b\r\n" + part + b"\r\n--b--\r\n")
    async with served.serving(support.settings(shared_database)) as port:
        answer = await served.exchange(port, raw)
    assert served.status(answer) == 400
    assert b"urn:broadsheet:problem:malformed-body" in answer


@pytest.mark.parametrize("sid", ["SM\x00", "S" * 20_000, "SM\ud800", "SM\n"])
async def test_a_signed_webhook_with_an_id_that_is_none_is_malformed(shared_database: str, sid: str) -> None:
    body = json.dumps(incoming("+13135550142", "hello", NOW, sid=sid)).encode()
    signature = "sha256=" + hmac.new(MISSIVE_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = (f"X-Hook-Signature: {signature}", "Content-Type: application/json")
    async with served.serving(support.settings(shared_database)) as port:
        answer = await served.exchange(port, frame("POST", "/webhooks/missive", *headers, body=body))
    assert served.status(answer) == 400, answer


async def test_a_form_of_a_million_fields_is_refused_before_it_is_read(shared_database: str) -> None:
    headers = ("Content-Type: application/x-www-form-urlencoded", "X-Twilio-Signature: x")
    async with served.serving(support.settings(shared_database)) as port:
        answer = await served.exchange(port, frame("POST", "/webhooks/twilio/sms", *headers, body=b"a&" * 500_000))
    assert served.status(answer) == 400


def name(path: str) -> str:
    return path.removeprefix("/webhooks/").replace("/", "_")
