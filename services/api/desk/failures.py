"""What went wrong, as a page: what happened, what was kept, and what to do now."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from libs.common.catalogue import gettext as _
from libs.common.catalogue import said
from libs.common.errors import NotInState
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk import conflicts, rendering
from services.api.http import failures, problems
from services.api.http.errors import Unauthorized

#: Status to what a person reads: title, sentence, advice.
WORDS = {
    400: (
        n_("This cannot be read"),
        n_("What came here is incomplete or garbled."),
        n_("Nothing was changed. Go back and try again."),
    ),
    403: (
        n_("Not allowed"), n_("You may not do this."), n_("Nothing was changed. An admin can give you the right to.")
    ),
    404: (n_("Not found"), n_("There is nothing here."), n_("It may have been removed, or the address has a mistake.")),
    409: (
        n_("That does not go any more"),
        n_("It is not in a state that allows this."),
        n_("Nothing was changed. See how it stands now."),
    ),
    412: (
        n_("Somebody else was quicker"),
        n_("It was changed while you had it open."),
        n_("Nothing of yours was saved yet."),
    ),
    422: (
        n_("There is a problem"),
        n_("Something cannot be taken as it is."),
        n_("Nothing was changed. Go back and correct it."),
    ),
    429: (n_("Too many at once"), n_("There were too many tries."), n_("Wait a minute, then try again.")),
    503: (
        n_("Not available now"),
        n_("The database is away or too busy."),
        n_("Try again in a few seconds. What you sent may have been done: look before you send it again."),
    ),
}  # fmt: skip
OTHERWISE = (
    n_("Something went wrong"),
    n_("This is a fault of Broadsheet, not yours."),
    n_("Try again. If it stays so, tell whoever runs Broadsheet the time."),
)

SIGN_IN = "/desk/sign-in"


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a page's request that failed."""
    if isinstance(error, Unauthorized):
        return _sign_in(request)
    problem = problems.of(error)
    answer = failures.respond(request, error)  # it logs what is ours, and knows which words may be shown
    title, sentence, advice = map(_, WORDS.get(problem.status, OTHERWISE))
    details = _details(answer.content) if problem.status < 500 else []
    if isinstance(error, NotInState):
        sentence, stands, can = conflicts.words(error)
        details, advice = [stands], f"{can} {_('Nothing was changed.')}"
    api: Context = request.app.state.context
    return rendering.page(
        request,
        api,
        "error.html",
        status=problem.status,
        title=title,
        sentence=sentence,
        details=details,
        advice=advice,
        back=request.headers.get("referer") or "/desk",
    )


def _details(problem: dict[str, Any]) -> list[str]:
    """Return what the API says of a problem, field by field where it names some."""
    if fields := problem.get("errors"):
        return [
            f"{each['field']}: {said(each['message'])}" if each["field"] else said(each["message"]) for each in fields
        ]
    return [said(problem["detail"])] if problem.get("detail") else []


def _sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Lead to the form by which somebody signs in, and from there back to a page that was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"{SIGN_IN}?{urlencode({'then': asked})}" if request.method == "GET" else SIGN_IN
    if request.headers.get("hx-request"):  # only a part of a page was asked for: the browser is to load another
        return Response(None, status_code=401, headers={"HX-Redirect": SIGN_IN})
    return Redirect(address, status_code=303)


HANDLERS: ExceptionHandlersMap = {Exception: respond, HTTPException: respond, 404: respond, 500: respond}
