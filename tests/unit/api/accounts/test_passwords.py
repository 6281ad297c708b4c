import pytest
from argon2 import extract_parameters

from libs.common.errors import Invalid
from services.api.accounts.passwords import LONGEST, NOBODY, SHORTEST, Passwords

GOOD = "correct horse battery staple"


async def test_a_password_fits_what_was_stored_of_it_and_no_other_does() -> None:
    passwords = Passwords()
    stored = await passwords.hash(GOOD)
    assert stored.startswith("$argon2id$")
    assert GOOD not in stored
    assert await passwords.fits(GOOD, stored)
    assert not await passwords.fits(f"{GOOD} ", stored)


async def test_the_same_password_is_stored_differently_each_time() -> None:
    passwords = Passwords()
    assert await passwords.hash(GOOD) != await passwords.hash(GOOD)


async def test_where_there_is_no_account_no_password_fits() -> None:
    assert not await Passwords().fits(GOOD, None)


async def test_a_check_without_an_account_costs_what_one_with_an_account_does() -> None:
    assert extract_parameters(NOBODY) == extract_parameters(await Passwords().hash(GOOD))


async def test_what_is_no_hash_fits_nothing() -> None:
    assert not await Passwords().fits(GOOD, "no hash at all")


@pytest.mark.parametrize("password", ["", "x" * (SHORTEST - 1), "x" * (LONGEST + 1)])
async def test_a_password_that_is_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        await Passwords().hash(password)


async def test_an_endless_password_is_not_hashed_whole() -> None:
    passwords = Passwords()
    stored = await passwords.hash("x" * LONGEST)
    assert not await passwords.fits("x" * 1_000_000, stored)
