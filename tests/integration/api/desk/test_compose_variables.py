"""Compose with variables: whose message cannot be made, and where a mistake is."""

from tests.integration.api.desk.browser import Browser
from tests.integration.api.desk.test_compose_page import COMPOSE, form, people, shown
from tests.integration.api.support import Api

HELLO = "Hi {{ last_name }}!"


async def test_compose_says_whose_message_cannot_be_made_and_lists_them(api: Api, editor: Browser) -> None:
    north = await people(api, "Ana Diaz", "Bo")
    typed = form(north, do="preview", first_message=HELLO)
    page = shown(await editor.submit(COMPOSE, COMPOSE, **typed))
    assert "The message of 1 person cannot be made" in page
    assert "1 has nothing for last_name" in page
    lines = (await editor.submit(f"{COMPOSE}/wrong.csv", COMPOSE, **typed)).text.splitlines()
    assert len(lines) == 2
    assert "Bo" in lines[1]
    page = shown(
        await editor.submit(COMPOSE, COMPOSE, **{**typed, "first_message": 'Hi {{ last_name | default: "you" }}'})
    )
    assert "cannot be made" not in page
    assert "Hi you" in page, "as somebody gets it of whom nothing is known"


async def test_compose_names_the_place_of_a_mistake(api: Api, editor: Browser) -> None:
    north = await people(api, "Ana Diaz")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, first_message="Hi {{ name }, hello"))
    assert answer.status_code == 422
    assert "The first message is wrong at character 12: one brace is missing" in shown(answer)
