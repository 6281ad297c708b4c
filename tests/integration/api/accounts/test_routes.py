"""Users, keys and the audit over HTTP."""

from typing import Any

import pytest

from tests.integration.api.support import Api

ANA = {"email": "Ana@Example.org", "name": " Ana  Diaz ", "role": "admin"}


async def test_a_user_is_invited_listed_and_changed(api: Api) -> None:
    answer = await api.post("/users", ANA)
    assert answer.status_code == 201
    user, link = answer.json()["user"], answer.json()["link"]
    assert (user["email"], user["name"], user["role"], user["has_password"]) == (
        "ana@example.org", "Ana Diaz", "admin", False
    )  # fmt: skip
    assert link.startswith("https://texts.example.org/desk/invitation/")
    assert (await api.post("/users", {**ANA, "role": "viewer"})).status_code == 409
    assert (await api.get("/users")).json() == [user]
    await api.post("/users", {**ANA, "email": "bo@example.org"})
    changed = (await api.patch("/users/1", {"role": "viewer", "name": "Ana"})).json()
    assert changed == {**user, "role": "viewer", "name": "Ana"}


async def test_history_knows_a_user_by_the_id_alone(api: Api) -> None:
    await api.post("/users", ANA)
    await api.patch("/users/1", {"name": "Ana Maria Diaz"})
    written = str(await api.query("SELECT stream, data, actor FROM events"))
    assert "UserInvited" in str(await api.query("SELECT type FROM events"))
    assert "Ana" not in written
    assert "example.org" not in written


async def test_the_last_admin_stays_one(api: Api) -> None:
    await api.post("/users", ANA)
    for change in ({"role": "editor"}, {"disabled": True}):
        answer = await api.patch("/users/1", change)
        assert (answer.status_code, answer.json()["detail"]) == (
            409, "this is the only admin: make somebody else one first"
        )  # fmt: skip
    assert (await api.patch("/users/1", {"name": "Ana"})).status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "ana", "@example.org", "ana@", "a b@example.org", "аna@example.org", "ana@exam\x00ple.org", "a@b\n", "ana@x",
        "ana..b@example.org", "ana@-x.org", "ana@example.org.", "ana@[192.0.2.1]", "ana@desk.local",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused(api: Api, email: str) -> None:
    answer = await api.post("/users", {**ANA, "email": email})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "email")


async def test_a_user_who_is_disabled_gets_no_link(api: Api) -> None:
    await api.post("/users", {**ANA, "role": "viewer"})
    await api.patch("/users/1", {"disabled": True})
    assert (await api.post("/users/1/invitation")).status_code == 409
    assert (await api.patch("/users/1", {"disabled": False})).json()["disabled_at"] is None
    assert (await api.post("/users/1/invitation")).status_code == 201


async def test_there_are_no_sessions_of_nobody(api: Api) -> None:
    for answer in (await api.get("/users/7/sessions"), await api.client.delete("/users/7/sessions")):
        assert answer.status_code == 404


async def test_a_key_is_shown_once_opens_by_its_scopes_and_not_once_it_is_taken_back(api: Api) -> None:
    answer = await api.post("/keys", {"name": "website", "scopes": ["send", "read", "send"]})
    assert answer.status_code == 201
    secret, key = answer.json()["secret"], answer.json()["key"]
    assert key["scopes"] == ["read", "send"]
    assert secret not in (await api.get("/keys")).text
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await api.get("/broadcasts", headers=headers)).status_code == 200
    assert (await api.get("/users", headers=headers)).status_code == 403
    assert (await api.post("/keys", {"name": "website", "scopes": ["read"]})).status_code == 409
    assert (await api.client.delete("/keys/1")).status_code == 204
    assert (await api.get("/broadcasts", headers=headers)).status_code == 401
    assert (await api.client.delete("/keys/7")).status_code == 404


@pytest.mark.parametrize("name", ["settings", "", "a:b", "é", "a\x00"])
async def test_a_key_has_a_name_that_tells_it_from_others(api: Api, name: str) -> None:
    answer = await api.post("/keys", {"name": name, "scopes": ["read"]})
    assert answer.status_code == (409 if name == "settings" else 422)
    assert await api.value("SELECT count(*) FROM api_keys") == 0


async def audit(api: Api, **query: Any) -> list[tuple[str, str, str]]:
    entries = (await api.get("/audit", params=query)).json()["items"]
    return [(each["actor"], each["subject"], each["type"]) for each in entries]


async def test_the_audit_says_who_did_what_the_newest_first(api: Api) -> None:
    await api.post("/users", {**ANA, "role": "viewer"}, headers={"Broadsheet-User": "bo"})
    await api.post("/keys", {"name": "website", "scopes": ["read"]})
    await api.patch("/users/1", {"disabled": True})
    await api.client.delete("/keys/1")
    segment = await api.segment("a")
    assert await audit(api) == [
        ("key:settings", f"segment-{segment}", "SegmentCreated"),
        ("key:settings", "key-1", "KeyRevoked"),
        ("key:settings", "user-1", "UserChanged"),
        ("key:settings", "key-1", "KeyCreated"),
        ("console:bo", "user-1", "UserInvited"),
    ]
    assert await audit(api, actor="console:bo") == [("console:bo", "user-1", "UserInvited")]
    assert await audit(api, subject="key-1") == [
        ("key:settings", "key-1", "KeyRevoked"), ("key:settings", "key-1", "KeyCreated")
    ]  # fmt: skip
    assert await audit(api, subject="key-1", actor="console:bo") == []


async def test_what_is_so_already_is_no_change(api: Api) -> None:
    number = await api.contact("a", name="Ana")
    contact = await api.contact_id(number)
    await api.post("/users", ANA)
    await api.post("/users", {**ANA, "email": "bo@example.org"})
    await api.post("/keys", {"name": "website", "scopes": ["read"]})

    async def once() -> None:
        await api.patch("/users/2", {"role": "viewer", "name": "Bo", "disabled": True})
        await api.client.delete("/users/2/sessions")
        await api.client.delete("/keys/1")
        await api.patch(f"/contacts/{contact}", {"name": "Ana Maria", "tags": ["b"]})

    await once()
    before = await audit(api)
    key, user = (await api.get("/keys")).json(), (await api.get("/users")).json()
    assert [type_ for _, _, type_ in before[:3]] == ["ContactChanged", "KeyRevoked", "UserChanged"]
    await once()
    assert (await audit(api), (await api.get("/keys")).json(), (await api.get("/users")).json()) == (before, key, user)


async def test_only_what_is_new_is_noted_of_a_contact_and_an_erasure_once(api: Api) -> None:
    contact = await api.contact_id(await api.contact("a", name="Ana"))
    await api.patch(f"/contacts/{contact}", {"name": "Ana", "tags": ["b"]})
    for _ in range(2):
        assert (await api.client.delete(f"/contacts/{contact}")).status_code == 204
    entries = (await api.get("/audit", params={"subject": f"contact-{contact}"})).json()["items"]
    assert [(each["type"], each["data"].get("fields")) for each in entries] == [
        ("ContactErased", None), ("ContactChanged", ["tags"])
    ]  # fmt: skip


async def test_the_audit_is_read_page_by_page(api: Api) -> None:
    for name in "abcde":
        await api.segment(name)
    seen: list[str] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = (await api.get("/audit", params={"limit": 2, **cursor})).json()
        seen += [each["subject"] for each in page["items"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert seen == [f"segment-{number}" for number in range(5, 0, -1)]


async def test_what_is_done_to_contacts_is_in_history_without_their_names(api: Api) -> None:
    number = await api.contact("a", name="Ana")
    contact = await api.contact_id(number)
    await api.patch(f"/contacts/{contact}", {"name": "Ana Maria"})
    await api.client.delete(f"/contacts/{contact}")
    entries = (await api.get("/audit", params={"subject": f"contact-{contact}"})).json()["items"]
    assert [(each["type"], each["data"]) for each in entries] == [
        ("ContactErased", {"contact_id": contact}),
        ("ContactChanged", {"contact_id": contact, "fields": ["name"]}),
    ]
    assert "Ana" not in str(await api.query("SELECT data FROM events"))


async def test_an_import_is_in_history(api: Api) -> None:
    await api.client.post(
        "/contacts/import", content=b"phone_number\n+13135550142\n", headers={"Content-Type": "text/csv"}
    )
    assert await audit(api) == [("key:settings", "contacts", "ContactsImported")]


async def test_what_carriers_and_services_do_is_in_the_audit_of_a_thing_alone(api: Api) -> None:
    number = await api.contact("a")
    contact = await api.contact_id(number)
    await api.query(
        "INSERT INTO events (stream, version, id, type, schema_version, data, occurred_at, correlation_id, actor)"
        " VALUES (%s, 1, gen_random_uuid(), 'OptedOut', 1, '{}', now(), gen_random_uuid(), 'carrier:twilio')",
        f"contact-{contact}",
    )
    assert await audit(api) == []
    assert await audit(api, subject=f"contact-{contact}") == [("carrier:twilio", f"contact-{contact}", "OptedOut")]
