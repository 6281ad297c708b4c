"""A witness beside the product: what the database holds, asked by another driver than Broadsheet's own (psycopg)."""

from typing import Any

import psycopg
from psycopg.rows import dict_row


async def query(url: str, statement: str, *parameters: Any) -> list[dict[str, Any]]:
    """Run a statement with psycopg's placeholders, committed at once, and return its rows."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        cursor = await connection.execute(statement.encode(), parameters or None)
        return await cursor.fetchall() if cursor.description else []
