"""Each page of the desk in a browser: nothing breaks, and everybody can use it, in light and in dark."""

from pathlib import Path

from libs.common.domain.roles import Role
from services.api.app import create_app
from tests.browser.conftest import Tab
from tests.browser.pages import READY, SIGN_IN, Walk
from tests.integration.api import support
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.desk.test_import_pages import ODD, columns, taken
from tests.integration.api.desk.test_reply_pages import likely
from tests.integration.api.support import Api

AXE = Path(__file__).parents[2] / "services/api/desk/assets/node_modules/axe-core/axe.min.js"
PASSWORD = "three plain words"
ANA = {"email": "ana@example.org", "name": "Ana Diaz", "role": "admin"}
#: Runs axe-core (https://github.com/dequelabs/axe-core); gives a line for each element that breaks a rule.
#: The size of what is pressed is a rule of WCAG 2.2, which axe leaves out unless it is asked.
EXAMINE = """async () => (await axe.run({rules: {"target-size": {enabled: true}}})).violations.flatMap(
    ({id, help, nodes}) => nodes.map(({target, failureSummary}) => `${id}: ${help}: ${target} ${failureSummary}`))"""


#: What is not ours to mend, by page: rule and element. Swagger UI has a `main` of its own within ours. It is said to be
#: a region instead (assets/api.js), and axe would have no `main` be one.
NOT_OURS = {"/schema/page": ("aria-allowed-role", "#operations")}


async def invited(api: Api) -> str:
    """Invite a user; return the path of the link."""
    answer = await api.post("/users", ANA)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["link"]).removeprefix(api.settings.public_url.rstrip("/"))


async def faults(tab: Tab, path: str) -> list[str]:
    """Open a page; return what is wrong with it, in light and in dark."""
    await tab.open(path)
    return await examined(tab, path)


async def examined(tab: Tab, path: str) -> list[str]:
    """Return what is wrong with what is shown, in light and in dark."""
    await tab.page.evaluate(AXE.read_text())
    found = []
    rule, element = NOT_OURS.get(path, ("nothing", "nothing"))
    for scheme in ("light", "dark"):
        await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await tab.page.wait_for_function(READY)
        lines = await tab.page.evaluate(EXAMINE)
        ours = [line for line in lines if not (line.startswith(f"{rule}:") and f": {element} " in line)]
        found += [f"{path} in {scheme}: {line}" for line in ours]
    found += [f"{path} in the console: {line}" for line in tab.complaints]
    tab.complaints.clear()
    return found


async def test_no_page_of_the_desk_has_a_fault_that_axe_or_the_browser_finds(api: Api, tab: Tab) -> None:
    link = await invited(api)
    broadcast = await halfway(api)
    await likely(api)
    scheduled = await api.broadcast(await api.segment("made", name="next"))
    await api.post("/keywords", {"word": "news", "tag": "news", "welcome": "Welcome. Reply STOP to end."})
    found = [*await faults(tab, SIGN_IN), *await faults(tab, link)]
    async with signed_in(api, Role.ADMIN) as user:
        file = await taken(user, ODD)
        await user.submit(f"{file}/check", file, **columns("number", "name"))
    await tab.sign_in(api, Role.ADMIN)
    begins = ["/desk", f"/desk/compose/{scheduled}", f"/desk/broadcasts/{broadcast}", file]
    walk = Walk(create_app(api.settings), begins)
    while path := walk.next():
        found += await faults(tab, path)
        await walk.look_around(tab.page)
    assert found == [], "\n".join(found)
    assert walk.left == [], "no link leads there"
    # It would have been found.
    await tab.page.evaluate("() => { document.documentElement.removeAttribute('lang'); console.error('broken'); }")
    assert "html-has-lang" in "".join(await tab.page.evaluate(EXAMINE))
    assert tab.complaints == ["broken"]


async def test_the_api_is_read_and_tried_on_its_page(api: Api, tab: Tab) -> None:
    await tab.open("/schema/page")
    page = tab.page
    await page.get_by_role("button", name="Authorize").click()
    await page.get_by_label("Value").fill(support.KEY)
    await page.get_by_role("button", name="Apply credentials").click()
    await page.get_by_role("button", name="Close", exact=True).click()
    await page.locator("#operations-segments-get_segments").get_by_role("button").first.click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute").click()
    await page.get_by_text('"items": []').first.wait_for()
    assert tab.complaints == []


async def test_whoever_is_invited_chooses_a_password_and_signs_in_by_the_form(api: Api, tab: Tab) -> None:
    page = tab.page
    await tab.open(await invited(api))
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Save and sign in").click()
    await page.wait_for_url(f"{tab.base}/desk")
    await tab.open("/desk/settings/me")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.wait_for_url(f"{tab.base}{SIGN_IN}")
    await page.get_by_label("E-mail address").fill(ANA["email"])
    await page.get_by_label("Password").fill("not this one at all")
    await page.keyboard.press("Enter")
    await page.get_by_text("The address or the password is not right.").first.wait_for()
    assert await page.get_by_label("E-mail address").input_value() == ANA["email"]
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{tab.base}/desk")
    await tab.open("/desk/settings/me")
