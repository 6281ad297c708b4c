"""Groups on the desk: written, counted, changed and deleted by plain forms."""

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.desk.test_compose_page import hidden, shown
from tests.integration.api.support import Api

GROUPS, NEW = "/desk/segments", "/desk/segments/new"


async def test_a_group_is_counted_as_one_types_and_then_made(api: Api, editor: Browser) -> None:
    for name, tags in (("Bo", ["north"]), ("Cy", ["north", "staff"]), ("Di", ["south"])):
        await api.contact(*tags, name=name)
    typed = {"name": "North", "any": "north, nroth", "none": "staff"}
    counted = await editor.submit(f"{GROUPS}/preview", NEW, **typed)
    assert "1 person can get texts." in shown(counted)
    assert "Nobody has the tag “nroth”." in shown(counted)
    assert "Bo" in shown(counted)
    assert "<html" not in counted.text
    without_script = await editor.submit(GROUPS, NEW, do="count", **typed)
    assert "1 person can get texts." in shown(without_script)
    assert 'value="north, nroth"' in without_script.text
    answer = await editor.submit(GROUPS, NEW, do="save", **typed)
    assert answer.status_code == 303
    made = (await api.get(answer.headers["location"].removeprefix("/desk"))).json()
    assert made["filter"] == {"any": ["north", "nroth"], "all": [], "none": ["staff"]}
    assert f"user:{editor.user_id}" == await api.value("SELECT actor FROM events WHERE type = 'SegmentCreated'")


async def test_the_list_says_who_is_in_a_group_and_counts_it(api: Api, editor: Browser) -> None:
    await api.contact("north")
    number = await api.contact("north")
    await api.patch(f"/contacts/{await api.contact_id(number)}", {"opted_out": True})
    group = await api.segment("north")
    assert "any of north" in shown(await editor.get(GROUPS))
    assert shown(await editor.get(f"{GROUPS}/{group}/count")) == "1"
    assert "1 has opted out" in shown(await editor.get(f"{GROUPS}/{group}?counted=true"))


async def test_what_is_wrong_is_said_and_what_was_typed_stays(api: Api, editor: Browser) -> None:
    await api.segment("north")
    answer = await editor.submit(GROUPS, NEW, do="save", name="north", any="a")
    assert (answer.status_code, "There is another group of this name." in shown(answer)) == (422, True)
    answer = await editor.submit(GROUPS, NEW, do="save", name="\u200b", any="<script>, b")
    assert (answer.status_code, 'value="&lt;script&gt;, b"' in answer.text) == (422, True)
    assert 'href="#any"' in answer.text
    assert (await editor.submit(GROUPS, NEW, do="save", name="\u200b")).status_code == 422
    assert await api.value("SELECT count(*) FROM audience_segments") == 1


async def test_a_group_is_changed_and_of_two_editors_the_second_is_told(api: Api, editor: Browser) -> None:
    group = await api.segment("north")
    page = f"{GROUPS}/{group}"
    version = hidden((await editor.get(page)).text, "version")
    assert (await editor.submit(page, page, do="save", name="North", any="a", version=version)).status_code == 303
    answer = await editor.submit(page, page, do="save", name="Mine", any="b", version=version)
    assert (answer.status_code, 'value="Mine"' in answer.text) == (412, True)
    assert (await api.get(f"/segments/{group}")).json()["name"] == "North"
    version = hidden(answer.text, "version")
    assert (await editor.submit(page, page, do="save", name="Mine", any="b", version=version)).status_code == 303


async def test_a_group_that_is_used_says_where_and_one_that_is_not_is_deleted(api: Api, editor: Browser) -> None:
    group = await api.segment("north")
    page = f"{GROUPS}/{group}"
    broadcast = await api.broadcast(group)
    words = await editor.get(page)
    assert f'href="/desk/broadcasts/{broadcast}"' in words.text
    assert f"{page}/delete" not in words.text
    refused = await editor.submit(f"{page}/delete", page)
    assert (refused.status_code, "It was not deleted" in shown(refused)) == (409, True)
    await api.patch(f"/broadcasts/{broadcast}", {"segments": []})
    assert (await editor.submit(f"{page}/delete", page)).headers["location"] == GROUPS
    assert await api.value("SELECT count(*) FROM audience_segments") == 0


async def test_who_may_only_look_sees_groups_and_changes_none(api: Api) -> None:
    group = await api.segment("north")
    async with signed_in(api, Role.VIEWER) as viewer:
        page = await viewer.get(f"{GROUPS}/{group}")
        assert (page.status_code, "<form" in page.text) == (200, False)
        assert (await viewer.get(NEW)).status_code == 403
