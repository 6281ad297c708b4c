"""What is logged of the errors of PostgreSQL."""

import asyncpg
import pytest

from libs.common.database.engine import connect
from libs.common.observability import redaction

NUMBER = "+13135550142"


async def test_a_row_that_postgresql_quotes_is_not_told(database_url: str) -> None:
    connection = await connect(database_url)
    try:
        insert = "INSERT INTO contacts (phone_number, name) VALUES ($1, 'Zoë')"
        await connection.execute(insert, NUMBER)
        with pytest.raises(asyncpg.exceptions.UniqueViolationError) as twice:
            await connection.execute(insert, NUMBER)
        with pytest.raises(asyncpg.exceptions.InvalidTextRepresentationError) as unreadable:
            await connection.execute("SELECT 'Zoë'::bigint")
        with pytest.raises(asyncpg.exceptions.UndefinedTableError) as missing:
            await connection.execute("SELECT FROM nowhere")
    finally:
        await connection.close()
    errors = "asyncpg.exceptions"
    assert redaction.describe(twice.value) == f"{errors}.UniqueViolationError: 23505: contacts_phone_number_key"
    assert redaction.describe(unreadable.value) == f"{errors}.InvalidTextRepresentationError: 22P02"
    assert (
        redaction.describe(missing.value) == f'{errors}.UndefinedTableError: 42P01: relation "nowhere" does not exist'
    )
