"""What keeps stored text from being run by a browser that is led to the API."""

import re

from tests.integration.api.support import Api, incoming

MARKUP = "<script>alert(1)</script>"


async def test_every_answer_tells_browsers_to_run_frame_and_keep_nothing(api: Api) -> None:
    broadcast = await api.made(1)
    for path in ("/health/live", "/schema", f"/broadcasts/{broadcast}", f"/broadcasts/{broadcast}/report.csv", "/none"):
        headers = (await api.get(path)).headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", path
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    assert (await api.get("/broadcasts", headers={"Authorization": ""})).headers["x-content-type-options"] == "nosniff"


async def test_stored_text_never_comes_as_a_page(api: Api) -> None:
    number = await api.contact("made", name=MARKUP)
    broadcast = await api.broadcast(await api.segment("made"), first_message=MARKUP, recurring=False)
    await api.post(f"/broadcasts/{broadcast}/send-now")
    await api.sent(broadcast)
    await api.missive(incoming(number, MARKUP, api.clock.now))
    paths = ("", "/messages", "/events", "/report", "/report.csv")
    for path in [*(f"/broadcasts/{broadcast}{part}" for part in paths), "/contacts", "/segments", f"/{MARKUP}"]:
        answer = await api.get(path)
        assert answer.headers["content-type"].partition(";")[0] in (
            "application/json", "application/problem+json", "text/csv",
        ), path  # fmt: skip


async def test_the_documentation_is_data_and_runs_nobodys_scripts(api: Api) -> None:
    for path in ("/schema", "/schema/openapi.json", "/schema/openapi.yaml"):
        answer = await api.get(path)
        assert (answer.status_code, "html" in answer.headers["content-type"]) == (200, False)
        assert "cdn." not in answer.text
    for page in ("scalar", "swagger", "redoc", "elements", "rapidoc"):
        assert (await api.get(f"/schema/{page}")).status_code == 404


async def test_the_documentations_page_runs_our_own_script_and_asks_nobody_else(api: Api) -> None:
    answer = await api.get("/schema/page", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {each for each in loaded if "://" in each} == set()
    scripts = re.findall(r"<script[^>]*>", answer.text)
    assert [re.sub(r"-\w+\.js", ".js", each) for each in scripts] == ['<script src="/desk/assets/api.js" defer>']
    for each in loaded:
        if each.startswith("/desk/assets/"):
            assert (await api.get(each)).status_code == 200


async def test_no_answer_sets_a_cookie_and_no_cookie_opens_anything(api: Api) -> None:
    """There is no session that a page of somebody else's could ride on."""
    answer = await api.get("/broadcasts")
    assert "set-cookie" not in answer.headers
    key = answer.request.headers["authorization"].removeprefix("Bearer ")
    for cookie in (f"Authorization=Bearer {key}", f"key={key}", f"api_key={key}"):
        refused = await api.post("/stop", headers={"Authorization": "", "Cookie": cookie})
        assert refused.status_code == 401


async def test_a_page_of_somebody_elses_may_not_read_or_send_with_a_key(api: Api) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await api.client.options("/stop", headers=asked)
    assert "access-control-allow-origin" not in answer.headers
