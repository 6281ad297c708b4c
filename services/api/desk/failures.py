"""What went wrong, as a page: what happened, what was kept, and what to do now."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from libs.common.catalogue import gettext as _
from libs.common.catalogue import said
from libs.common.errors import NotInState
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk import conflicts, rendering
from services.api.http import failures, framing, problems
from services.api.http.auth import is_desk
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
OLD_FORM = (
    n_("This page is too old"),
    n_("What it sent was not taken: it is not sure that you sent it."),
    n_("Nothing was changed. Load the page again, and try once more. Your browser has to take cookies from here."),
)
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
    # Why somebody may not is said already.
    details = _details(answer.content) if problem.status < 500 and problem.status != 403 else []
    if isinstance(error, PermissionDeniedException):  # of the middleware: the form had not the token of its page
        title, sentence, advice = map(_, OLD_FORM)
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
    """Lead to the form by which somebody signs in, and from there back to a page that was asked for.

    Who sent a form is told that nothing was done. What they typed is not lost: their browser can send it once more.
    """
    if request.headers.get("hx-request"):  # only a part of a page was asked for: the script says what is to be done
        return Response(None, status_code=401)
    if request.method not in ("GET", "HEAD"):
        return _signed_out(request)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(f"{SIGN_IN}?{urlencode({'then': asked})}", status_code=303)


def _signed_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """Say that nothing was done, since nobody is signed in."""
    api: Context = request.app.state.context
    is_sidebar = request.url.path.startswith(framing.SIDEBAR)
    then = f"?{urlencode({'then': framing.SIDEBAR})}" if is_sidebar else ""
    return rendering.page(
        request, api, "signed_out.html", status=401, is_sidebar=is_sidebar, sign_in=f"{SIGN_IN}{then}"
    )


def anywhere(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a request that failed before it had come to a route: a page's as a page."""
    return respond(request, error) if is_desk(request.scope["path"]) else failures.respond(request, error)


#: For the whole app: an address of the desk that has no route.
ANYWHERE: ExceptionHandlersMap = dict.fromkeys(failures.HANDLERS, anywhere)

HANDLERS: ExceptionHandlersMap = {Exception: respond, HTTPException: respond, 404: respond, 500: respond}
