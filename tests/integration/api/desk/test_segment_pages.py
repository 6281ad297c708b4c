"""Groups on the desk: written, counted, changed and deleted by plain forms."""

import html

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.desk.test_compose_page import hidden, shown
from tests.integration.api.support import Api

GROUPS, NEW = "/desk/segments", "/desk/segments/new"


async def test_a_group_is_counted_as_one_types_and_then_made(api: Api, editor: Browser) -> None:
    for name, tags in (("Bo", ["north"]), ("Cy", ["north", "staff"]), ("Di", ["south"])):
        await api.contact(*tags, name=name)
    typed = {
        "name": "North", "match": "all",
        "what_0": "any_tag", "value_0": "north, nroth", "what_1": "no_tag", "value_1": "staff", "what_2": "",
    }  # fmt: skip
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
    any_ = [{"tag": "north"}, {"tag": "nroth"}]
    assert made["filter"] == {"all": [{"any": any_}, {"not": {"tag": "staff"}}]}
    assert f"user:{editor.user_id}" == await api.value("SELECT actor FROM events WHERE type = 'SegmentCreated'")


async def test_the_list_says_who_is_in_a_group_and_counts_it(api: Api, editor: Browser) -> None:
    await api.contact("north")
    number = await api.contact("north")
    await api.patch(f"/contacts/{await api.contact_id(number)}", {"opted_out": True})
    group = await api.segment("north")
    assert "the tag north" in shown(await editor.get(GROUPS))
    assert shown(await editor.get(f"{GROUPS}/{group}/count")) == "1"
    assert "1 has opted out" in shown(await editor.get(f"{GROUPS}/{group}?counted=true"))


async def test_what_is_wrong_is_said_and_what_was_typed_stays(api: Api, editor: Browser) -> None:
    await api.segment("north")
    answer = await editor.submit(GROUPS, NEW, do="save", name="north", what_0="any_tag", value_0="a")
    assert (answer.status_code, "There is another group of this name." in shown(answer)) == (422, True)
    answer = await editor.submit(GROUPS, NEW, do="save", name="\u200b", what_0="any_tag", value_0="<script>, b")
    assert (answer.status_code, 'value="&lt;script&gt;, b"' in answer.text) == (422, True)
    assert 'href="#what_0"' in answer.text
    assert (await editor.submit(GROUPS, NEW, do="save", name="\u200b")).status_code == 422
    assert await api.value("SELECT count(*) FROM audience_segments") == 1


async def test_a_group_is_changed_and_of_two_editors_the_second_is_told(api: Api, editor: Browser) -> None:
    group = await api.segment("north")
    page = f"{GROUPS}/{group}"
    version = hidden((await editor.get(page)).text, "version")
    assert (
        await editor.submit(page, page, do="save", name="North", what_0="any_tag", value_0="a", version=version)
    ).status_code == 303
    answer = await editor.submit(page, page, do="save", name="Mine", what_0="any_tag", value_0="b", version=version)
    assert (answer.status_code, 'value="Mine"' in answer.text) == (412, True)
    assert (await api.get(f"/segments/{group}")).json()["name"] == "North"
    version = hidden(answer.text, "version")
    assert (
        await editor.submit(page, page, do="save", name="Mine", what_0="any_tag", value_0="b", version=version)
    ).status_code == 303


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


async def test_every_condition_of_the_form_is_what_the_filter_says(api: Api, editor: Browser) -> None:
    group = await api.segment("north")
    import_id = await api.value(
        "INSERT INTO contact_imports (state, file_name, actor) VALUES ('done', 'people.csv', 'key:test') RETURNING id"
    )
    typed = {
        "what_0": "attribute", "name_0": "age", "op_0": "ge", "value_0": "18",
        "what_1": "attribute", "name_1": "zip", "op_1": "eq", "value_1": '"48201"',
        "what_2": "not_replied", "value_2": "30", "what_3": "joined", "value_3": "2026-03-01",
        "what_4": "not_segment", "group_4": str(group), "what_5": "import", "file_5": str(import_id),
        "what_6": "attribute", "name_6": "member", "op_6": "yes",
        "what_7": "attribute", "name_7": "city", "op_7": "unknown",
    }  # fmt: skip
    answer = await editor.submit(GROUPS, NEW, do="save", name="Many", match="any", **typed)
    page = answer.headers["location"]
    assert (await api.get(page.removeprefix("/desk"))).json()["filter"] == {"any": [
        {"attribute": "age", "ge": 18}, {"attribute": "zip", "eq": "48201"}, {"not": {"replied_since": "30 days"}},
        {"joined_since": "2026-03-01T00:00:00-05:00"}, {"not": {"segment": group}}, {"import": import_id},
        {"attribute": "member", "eq": True}, {"attribute": "city", "exists": False},
    ]}  # fmt: skip
    again = (await editor.get(page)).text
    for value in ('value="18"', 'value="&#34;48201&#34;"', 'value="30"', 'value="2026-03-01"'):
        assert value in again
    version = hidden(again, "version")
    same = await editor.submit(page, page, do="save", name="Many", match="any", version=version, **typed)
    assert same.status_code == 303
    assert await api.value("SELECT count(*) FROM events WHERE type = 'SegmentChanged'") == 0


async def test_what_is_no_rows_is_written_as_programs_do(api: Api, editor: Browser) -> None:
    deep = {"not": {"all": ["north", {"attribute": "age", "lt": 18}]}}
    made = (await api.post("/segments", {"name": "Deep", "filter": deep})).json()
    page = f"{GROUPS}/{made['id']}"
    shown_page = (await editor.get(page)).text
    assert '"attribute": "age"' in html.unescape(shown_page)
    version = hidden(shown_page, "version")
    typed = {"name": "Deep", "form": "json", "do": "save", "version": version}
    for text, place in (
        ("{", "This is not JSON"),
        ('{"all": [{"tag": 1}]}', "/all/0/tag"),
        ('{"segment": 99}', "/segment"),
    ):
        wrong = await editor.submit(page, page, json=text, **typed)
        assert (wrong.status_code, place in shown(wrong)) == (422, True), text
    assert (await editor.submit(page, page, json='{"tag": "south"}', **typed)).status_code == 303
    assert 'name="what_0"' in (await editor.get(page)).text
    assert 'name="json"' in (await editor.get(f"{page}?form=json")).text


async def test_a_group_in_itself_is_refused_at_its_row(api: Api, editor: Browser) -> None:
    inner = await api.segment("north")
    outer = (await api.post("/segments", {"name": "outer", "filter": {"segment": inner}})).json()["id"]
    page = f"{GROUPS}/{inner}"
    version = hidden((await editor.get(page)).text, "version")
    typed = {"what_0": "any_tag", "value_0": "a", "what_1": "segment", "group_1": str(outer)}
    refused = await editor.submit(page, page, do="save", name="inner", match="all", version=version, **typed)
    assert (refused.status_code, "The segment would be in itself." in shown(refused)) == (422, True)
    assert 'href="#what_1"' in refused.text
    refused = await editor.submit(f"{page}/delete", page)
    assert (refused.status_code, f'href="{GROUPS}/{outer}"' in refused.text) == (409, True)
