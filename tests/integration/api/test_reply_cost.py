"""What a reply costs the API: it counts round trips, which no busy machine changes; `make bench` measures the time."""

from typing import Any

import psycopg
from sqlalchemy import event

from tests.integration.api.support import Api, incoming


async def test_a_reply_to_a_broadcast_takes_one_round_trip(api: Api) -> None:
    broadcast = await api.made()
    await api.sent(broadcast)
    await api.missive(incoming("+13135550001", "hello", api.clock.now, sid="SM" + "0" * 32))  # whatever is read once
    statements: list[str] = []

    def watch(driver: Any, *_rest: Any) -> None:
        driver.driver_connection.add_query_logger(lambda query: statements.append(query.query))

    event.listen(api.context.webhooks.sync_engine, "checkout", watch)
    answer = await api.missive(incoming("+13135550002", "hello", api.clock.now, sid="SM" + "1" * 32))
    event.remove(api.context.webhooks.sync_engine, "checkout", watch)
    assert answer.json() == {"recorded": True}
    assert len(statements) == 1, statements
    assert await api.value("SELECT state FROM outgoing_messages WHERE is_second AND contact_id = 2") == "skipped"
    events = await api.query(
        "SELECT type, stream, data FROM events WHERE data->>'contact_id' = '2' OR type = 'MessagesSkipped'"
        " ORDER BY position"
    )
    assert [event["type"] for event in events] == ["MessagesSkipped", "ReplyReceived", "MessagesSkipped"]
    second = await api.value("SELECT id FROM outgoing_messages WHERE is_second AND contact_id = 2")
    assert events[2]["data"] == {"broadcast_id": broadcast, "message_ids": [second], "reason": "replied"}


async def test_a_reply_over_connections_that_the_server_has_closed_is_recorded(api: Api) -> None:
    await api.missive(incoming("+13135550142", "one", api.clock.now, sid="SM" + "0" * 32))
    with psycopg.connect(api.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answer = await api.missive(incoming("+13135550142", "two", api.clock.now, sid="SM" + "1" * 32))
    assert (answer.status_code, answer.json()) == (200, {"recorded": True})
