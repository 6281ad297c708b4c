"""What users do about their own accounts."""

from datetime import datetime

from libs.common.database import Connection
from libs.common.domain.events.registers import OwnNumberChanged, PasswordChosen
from libs.common.eventstore import store
from services.api.accounts import sessions, users


async def choose_password(
    connection: Connection, user_id: int, password_hash: str, now: datetime, *, here: bytes | None
) -> None:
    """Set another password for a user, and end all sessions but the one `here`."""
    await users.set_password(connection, user_id, password_hash)
    await sessions.revoke_all(connection, user_id, now, but=here)
    await store.append(connection, f"user-{user_id}", [PasswordChosen(user_id=user_id)], now=now)


async def change_number(connection: Connection, user_id: int, phone_number: str | None, now: datetime) -> None:
    """Give a user a number for test messages, in E.164, or take it back; nothing happens where it is so already."""
    if await users.set_number(connection, user_id, phone_number):
        await store.append(connection, f"user-{user_id}", [OwnNumberChanged(user_id=user_id)], now=now)
