"""Signing in by address and password, as often as `limits.py` lets somebody try."""

from datetime import timedelta

import structlog

from libs.common import database
from libs.common.errors import BroadsheetError, Invalid
from services.api.accounts import limits, sessions, users
from services.api.accounts.users import User
from services.api.context import Context

log = structlog.stdlib.get_logger(__name__)


class WrongPassword(BroadsheetError):
    """The address or the password is not right."""


class TooManyAttempts(BroadsheetError):
    """There were too many attempts to sign in."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


async def by_email(api: Context, email: str) -> User | None:
    """Return the user of an address that somebody else has verified; None where nobody with it may sign in."""
    try:
        account = users.normalized_email(email)
    except Invalid:
        return None
    now = api.clock()
    async with database.transaction(api.engine) as connection:
        await sessions.prune(connection, now)
        user = await users.by_email(connection, account)
    log.info("signed_in" if user else "sign_in_refused", user_id=user.id if user else None)
    return user


async def check(api: Context, *, email: str, password: str, address: str) -> User:
    """Return the user of an address whose password this is. Raise WrongPassword or TooManyAttempts.

    `address` is where the attempt comes from. No answer tells whether there is such an account.
    """
    try:
        account = users.normalized_email(email)
    except Invalid:
        raise WrongPassword from None
    now = api.clock()
    async with database.transaction(api.engine) as connection:
        wait = await limits.take(connection, address=address, account=account, now=now)
    if wait is not None:
        log.warning("sign_in_limited")
        raise TooManyAttempts(wait)
    async with database.transaction(api.engine) as connection:
        found = await users.password_of(connection, account)
    # No transaction is held meanwhile.
    fits = await api.passwords.fits(password, None if found is None else found.hash)
    if found is None or not fits:
        log.warning("sign_in_refused", user_id=None if found is None else found.user_id)
        raise WrongPassword
    async with database.transaction(api.engine) as connection:
        await limits.forget(connection, account=account)
        await limits.prune(connection, now)
        await sessions.prune(connection, now)
        user = await users.who_may_sign_in(connection, found.user_id)
    if user is None:  # disabled meanwhile
        raise WrongPassword
    log.info("signed_in", user_id=user.id)
    return user
