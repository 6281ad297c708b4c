"""`broadsheet users`, `keys` and `audit` over HTTP, against an API on a real database."""

import json

from tests.integration.console.commands import Call


async def test_the_first_user_is_made_from_the_command_line_and_looked_after_there(call: Call) -> None:
    status, said = await call("users", "create", "Ana@example.org", "--name", "Ana Diaz", "--role", "admin")
    assert status == 0, said
    assert "https://texts.example.org/desk/invitation/" in said
    status, said = await call("users", "list", "--json")
    [user] = json.loads(said)
    assert (user["email"], user["role"], user["has_password"]) == ("ana@example.org", "admin", False)
    assert (await call("users", "change", "1", "--role", "editor"))[0] == 1  # the only admin
    status, said = await call("users", "change", "1", "--name", "Ana")
    assert (status, said) == (0, "User 1, Ana, is admin.\n")
    status, said = await call("users", "change", "1", "--name", "Ana Diaz", "--json")
    assert (status, json.loads(said)["name"]) == (0, "Ana Diaz")
    status, said = await call("users", "link", "1", "--json")
    assert json.loads(said)["link"].startswith("https://texts.example.org/desk/invitation/")
    assert (await call("users", "sign-out", "1")) == (0, "User 1 was signed in nowhere. Nothing was changed.\n")
    status, said = await call("users", "disable", "1")
    assert (status, "--yes" in said) == (2, True)


async def test_a_key_is_shown_once_and_taken_back_and_history_says_by_whom(call: Call) -> None:
    status, said = await call("keys", "create", "website", "--scope", "send", "--scope", "read")
    assert status == 0, said
    secret = said.strip()
    assert secret.startswith("broadsheet_")
    status, said = await call("keys", "list")
    assert (status, "read send" in said, secret in said) == (0, True, False)
    status, said = await call("keys", "revoke", "1", "--yes", "--json")
    assert (status, json.loads(said)) == (0, {"id": 1, "revoked": True, "changed": True})
    assert (await call("keys", "revoke", "1", "--yes")) == (0, "Key 1 was taken back before. Nothing was changed.\n")
    status, said = await call("audit", "--json", "--subject", "key-1")
    entries = json.loads(said)
    assert [each["type"] for each in entries] == ["KeyRevoked", "KeyCreated"]
    assert all(each["actor"].startswith("console:") for each in entries)
