"""What is known of a person beside name and tags: over HTTP, by import, until they are erased."""

from typing import Any

import pytest

from libs.common import database
from libs.common.clock import utc_now
from services.api.contacts import queries, uploads
from services.api.contacts.files.outcome import Person
from tests.integration.api.support import Api

KNOWN: dict[str, Any] = {
    "attributes": {"city": "Detroit", "age": 40, "member": True, "since": "2026-02-28"},
    "time_zone": "America/Detroit",
}


async def somebody(api: Api, **known: Any) -> str:
    path = f"/contacts/{await api.contact_id(await api.contact('a'))}"
    if known:
        assert (await api.patch(path, known)).status_code == 200
    return path


async def merge(api: Api, *people: Person) -> queries.Merged:
    async with database.transaction(api.engine) as connection:
        import_id = await uploads.begin_at_once(connection, "", "key:test", {"people": len(people)}, utc_now())
        merged = await queries.merge(connection, import_id, people)
        await uploads.end(connection, import_id, utc_now())
        return merged


async def known_of(api: Api, path: str) -> tuple[Any, ...]:
    found = (await api.get(path)).json()
    return found["attributes"], found["time_zone"], found["language"]


async def test_attributes_are_changed_one_by_one_and_null_removes_one(api: Api) -> None:
    path = await somebody(api)
    assert await known_of(api, path) == ({}, None, None)
    changed = (await api.patch(path, {**KNOWN, "language": "es-mx"})).json()
    assert (changed["attributes"], changed["language"]) == (KNOWN["attributes"], "es-MX")
    await api.patch(path, {"attributes": {"age": 41.5, "city": None, "new": "x"}, "language": None})
    expected = {"age": 41.5, "member": True, "new": "x", "since": "2026-02-28"}
    assert await known_of(api, path) == (expected, "America/Detroit", None)
    assert (await api.get("/contacts?tag=a")).json()["items"][0]["attributes"] == expected
    fields = await api.column("SELECT data -> 'fields' FROM events WHERE type = 'ContactChanged' ORDER BY position")
    assert fields == [["attributes", "time_zone", "language"], ["attributes", "language"]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attributes": {"City": "x"}}, "attributes"),
        ({"attributes": {"name": "x"}}, "attributes.name"),
        ({"attributes": {"since": "2026-02-30"}}, "attributes.since"),
        ({"attributes": {"city": ""}}, "attributes.city"),
        ({"attributes": {"city": ["x"]}}, "attributes"),
        ({"attributes": {f"a{n}": n for n in range(51)}}, "attributes"),
        ({"time_zone": "Detroit"}, "time_zone"),
        ({"language": "SP"}, "language"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_its_place(api: Api, changes: dict[str, Any], field: str) -> None:
    path = await somebody(api, **KNOWN)
    answer = await api.patch(path, changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert (await known_of(api, path))[0] == KNOWN["attributes"]


async def test_an_import_merges_attributes_by_name(api: Api) -> None:
    path = await somebody(api, **KNOWN)
    number = (await api.get(path)).json()["phone_number"]
    again = Person(number, "", (), attributes={"city": "Flint", "ward": 3}, language="es")
    new = Person("+13135550099", "Ana", (), attributes={"city": "Ypsi"}, time_zone="America/Detroit")
    assert await merge(api, again, new) == queries.Merged(imported=1, updated=1, full=0)
    assert await known_of(api, path) == ({**KNOWN["attributes"], "city": "Flint", "ward": 3}, "America/Detroit", "es")
    assert await merge(api, again, new) == queries.Merged(imported=0, updated=0, full=0)
    members = "SELECT count(*) FROM contact_import_members GROUP BY import_id ORDER BY import_id"
    assert await api.column(members) == [2, 2]


async def test_who_has_fifty_attributes_gets_no_more_by_an_import(api: Api) -> None:
    full = {f"a{n}": n for n in range(50)}
    path = await somebody(api, attributes=full)
    number = (await api.get(path)).json()["phone_number"]
    merged = await merge(api, Person(number, "", (), attributes={"a0": "new", "one_more": 1}))
    assert merged == queries.Merged(imported=0, updated=1, full=1)
    assert (await known_of(api, path))[0] == {**full, "a0": "new"}


async def test_an_undone_import_gives_back_what_was_known(api: Api) -> None:
    path = await somebody(api, **KNOWN)
    number = (await api.get(path)).json()["phone_number"]
    await merge(api, Person(number, "", (), attributes={"city": "Flint"}, time_zone="America/Chicago", language="es"))
    undone = (await api.post("/contacts/imports/1/undo")).json()
    assert (undone["restored"], undone["kept"]) == (1, 0)
    assert await known_of(api, path) == (KNOWN["attributes"], "America/Detroit", None)
    assert await api.value("SELECT count(*) FROM contact_import_members") == 0


async def test_an_undone_import_keeps_whom_it_has_not_left_so(api: Api) -> None:
    path = await somebody(api, **KNOWN)
    number = (await api.get(path)).json()["phone_number"]
    await merge(api, Person(number, "", (), attributes={"city": "Flint"}))
    await api.patch(path, {"attributes": {"age": 50}})
    assert (await api.post("/contacts/imports/1/undo")).json()["kept"] == 1
    assert (await known_of(api, path))[0]["city"] == "Flint"


async def test_who_was_in_another_file_too_stays_when_one_is_undone(api: Api) -> None:
    person = Person("+13135550099", "Ana", (), attributes={"city": "Ypsi"})
    await merge(api, person)
    await merge(api, person)
    undone = (await api.post("/contacts/imports/1/undo")).json()
    assert (undone["removed"], undone["kept"]) == (0, 1)


async def test_who_is_erased_has_no_attributes_left(api: Api) -> None:
    path = await somebody(api, **KNOWN, language="es")
    number = (await api.get(path)).json()["phone_number"]
    await merge(api, Person(number, "", (), attributes={"city": "Flint"}))
    assert (await api.client.delete(path)).status_code == 204
    assert await known_of(api, path) == ({}, None, None)
    assert await api.value("SELECT count(*) FROM contact_import_members") == 0
    assert await api.value("SELECT count(*) FROM contact_import_changes") == 0
