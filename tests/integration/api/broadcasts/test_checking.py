"""Messages with variables over HTTP: written, checked before they go out, refused, and made."""

import csv
import io

from tests.integration.api.support import Api, wish

HELLO = "Hi {{ last_name }}!"


async def people(api: Api, *names: str) -> int:
    for name in names:
        await api.contact("north", name=name)
    return await api.segment("north")


async def test_a_mistake_in_a_variable_is_named_with_its_place(api: Api) -> None:
    north = await people(api, "Ana Diaz")
    answer = await api.post("/broadcasts", wish(north, first_message="Hi {{ first_name }, hello"))
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["field"] == "first_message"
    assert fault["message"] == "is wrong at character 18: one brace is missing: a variable ends with }}"


async def test_preflight_lists_whose_messages_cannot_be_made_and_make_refuses(api: Api) -> None:
    north = await people(api, "Ana Diaz", "Bo", "", "X" + "y" * 98 + " " + "z" * 100)
    first = HELLO + "é" * 1500
    broadcast = await api.broadcast(north, first_message=first, second_message="Hi {{ first_name }}")
    found = (await api.get(f"/broadcasts/{broadcast}/preflight")).json()
    assert (found["people"], found["wrong"], found["too_long"]) == (4, 3, 1)
    assert found["lacking"] == [{"variable": "first_name", "people": 1}, {"variable": "last_name", "people": 2}]
    assert [(each["name"], each["lacks"]) for each in found["people_wrong"]] == [
        ("Bo", ["last_name"]), ("", ["last_name", "first_name"]), ("X" + "y" * 98 + " " + "z" * 100, []),
    ]  # fmt: skip
    lines = list(csv.DictReader(io.StringIO((await api.get(f"/broadcasts/{broadcast}/preflight.csv")).text)))
    assert [line["lacks"] for line in lines] == ["last_name", "last_name first_name", ""]
    before = await api.counts()
    answer = await api.post("/make")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:broadsheet:problem:unrenderable")
    assert answer.json()["detail"].startswith("the messages of 3 people cannot be made")
    assert await api.counts() == before


async def test_people_who_are_out_need_no_value(api: Api) -> None:
    north = await people(api, "Ana Diaz")
    out = await api.contact("north", name="")
    await api.patch(f"/contacts/{await api.contact_id(out)}", {"opted_out": True})
    broadcast = await api.broadcast(north, first_message=HELLO)
    found = (await api.get(f"/broadcasts/{broadcast}/preflight")).json()
    assert (found["people"], found["wrong"]) == (1, 0)
    assert (await api.post("/make")).status_code == 201


async def test_preflight_counts_the_parts_that_are_made(api: Api) -> None:
    north = await people(api, "Ana", "Bo" * 50, "Zoë ✨")
    broadcast = await api.broadcast(north, first_message="{{ name }}" + "x" * 80, second_message="Still there?")
    found = (await api.get(f"/broadcasts/{broadcast}/preflight")).json()
    first = [(each["parts"], each["messages"]) for each in found["parts"] if not each["is_second"]]
    assert first == [(1, 1), (2, 2)]
    assert found["total_parts"] == 5 + 3
    assert (await api.post("/make")).status_code == 201
    made = (await api.get(f"/broadcasts/{broadcast}")).json()
    assert [(each["parts"], each["messages"]) for each in made["parts"]] == first


async def test_who_is_in_two_segments_is_looked_at_once(api: Api) -> None:
    await api.contact("north", "south", name="")
    north, south = await api.segment("north"), await api.segment("south")
    broadcast = await api.broadcast(north, south, first_message=HELLO)
    found = (await api.get(f"/broadcasts/{broadcast}/preflight")).json()
    assert (found["people"], found["wrong"]) == (1, 1)


async def test_a_broadcast_without_variables_has_nothing_to_be_checked(api: Api) -> None:
    broadcast = await api.broadcast(await people(api, "", "Bo"))
    found = (await api.get(f"/broadcasts/{broadcast}/preflight")).json()
    assert (found["people"], found["wrong"]) == (2, 0)


async def test_a_test_has_the_words_of_whoever_gets_it(api: Api) -> None:
    north = await people(api, "Ana Diaz")
    number = await api.value("SELECT phone_number FROM contacts")
    broadcast = await api.broadcast(
        north, first_message="Hi {{ first_name }}", second_message='{{ ward | default: "you" }}, {{ name }}?'
    )
    for to, words in ((number, ["Test: Hi Ana", "Test: you, Ana Diaz?"]),
                      ("+13135550198", ["Test: Hi FIRST_NAME", "Test: you, NAME?"])):  # fmt: skip
        answer = await api.post(f"/broadcasts/{broadcast}/test", {"to": [to]})
        assert answer.status_code == 202, answer.text
        assert sorted(each["body"] for each in answer.json()["items"]) == sorted(words)
