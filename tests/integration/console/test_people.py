"""`broadsheet erase` and `stop-now` over HTTP, against an API on a real database."""

import pytest

from tests.integration.console.commands import Call, rows

NUMBER = "+13135550142"


@pytest.mark.parametrize(("option", "kept"), [((), [(NUMBER,)]), (("--no-opt-out",), [])])
async def test_who_is_erased_stays_as_an_opt_out_alone_or_not_at_all(
    call: Call, database_url: str, option: tuple[str, ...], kept: list[tuple[str]]
) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, name) VALUES ('{NUMBER}', 'Ann')")
    status, said = await call("erase", "--yes", *option, NUMBER)
    assert (status, "is erased" in said) == (0, True)
    assert rows(database_url, "SELECT phone_number, name, erased_at IS NULL FROM contacts") == [(None, "", False)]
    assert rows(database_url, "SELECT phone_number FROM opt_outs") == kept
    assert await call("erase", "--yes", NUMBER) == (1, "nobody has this number\n")


async def test_nobody_is_erased_unless_somebody_says_yes(call: Call, database_url: str) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, name) VALUES ('{NUMBER}', 'Ann')")
    status, said = await call("erase", NUMBER)
    assert status == 2
    assert f"Erase {NUMBER}" in said
    assert "--yes" in said
    assert rows(database_url, "SELECT name FROM contacts") == [("Ann",)]


async def test_who_wrote_to_us_and_is_no_contact_can_be_erased(call: Call, database_url: str) -> None:
    rows(database_url, f"INSERT INTO replies (provider_id, phone_number, body, received_at) VALUES ('S', '{NUMBER}',"
                       " 'words', now())")  # fmt: skip
    assert (await call("erase", "--yes", "--no-opt-out", NUMBER))[0] == 0
    assert rows(database_url, "SELECT phone_number, body FROM replies") == [(None, "")]


async def test_stop_now_says_that_there_was_nothing_to_stop(call: Call) -> None:
    status, said = await call("stop-now")
    assert (status, "Nothing was sending or waiting." in said) == (0, True)
