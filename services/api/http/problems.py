"""Whatever goes wrong, as an RFC 9457 problem: one table from error to status, type and title.

The types are URNs; docs/problems.md, which is made from this table, says what each means (`problems_page`).
"""

from dataclasses import dataclass
from typing import Any

from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from libs.common import database, errors
from services.api.http.errors import (
    BadSignature,
    BodyCutShort,
    Changed,
    Forbidden,
    InvalidFields,
    KeyReused,
    MalformedBody,
    MalformedRequest,
    NameTaken,
    NotReady,
    SignInNeeded,
    TooBusy,
    TooManyTests,
    Unauthorized,
    UnsupportedMediaType,
)

MEDIA_TYPE = "application/problem+json"


URN = "urn:broadsheet:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What an error is to the caller."""

    status: int
    #: The last part of its type, and its heading in docs/problems.md.
    name: str
    title: str
    #: What it means and what to do, for docs/problems.md.
    advice: str

    @property
    def type(self) -> str:
        """The URN that tells problems apart."""
        return URN + self.name


INVALID = Problem(
    status=422,
    name="invalid-field",
    title="A field cannot be taken",
    advice="`errors` names each field, header or parameter that is at fault, and says why. Nothing has changed.",
)
UNAVAILABLE = Problem(
    status=503,
    name="unavailable",
    title="Not available now; try again",
    advice="The database is away or too busy; what was asked for may have been done all the same. Send it again after "
    "`Retry-After` seconds, with the same Idempotency-Key if it had one: then it is done once.",
)
INTERNAL = Problem(
    status=500,
    name="internal",
    title="Something went wrong in Broadsheet",
    advice="A fault of Broadsheet. The API's log has an entry `request_failed` with its type and place.",
)
MALFORMED_REQUEST = Problem(
    status=400,
    name="malformed-request",
    title="The request cannot be read",
    advice="Its URL, a header or the frame of its body is against the rules of HTTP: an impossible port, say.",
)

#: The nearest class in an error's ancestry decides.
PROBLEMS: dict[type[BaseException], Problem] = {
    MalformedRequest: MALFORMED_REQUEST,
    MalformedBody: Problem(
        status=400,
        name="malformed-body",
        title="The body cannot be read",
        advice="It is not JSON, not a form, not UTF-8, or the connection ended before it did. Nothing has changed.",
    ),
    Unauthorized: Problem(
        status=401,
        name="unauthorized",
        title="An API key is needed",
        advice="Send `Authorization: Bearer <key>` with an API key: one of `BROADSHEET_API_KEYS`, or one that "
        "`broadsheet keys create` has made and that was not taken back.",
    ),
    Forbidden: Problem(
        status=403,
        name="forbidden",
        title="Not allowed to do this",
        advice="The API key lacks the scope, or the user the role, that this route needs (docs/security.md).",
    ),
    BadSignature: Problem(
        status=403,
        name="bad-signature",
        title="The signature does not fit",
        advice="For webhooks alone: the carrier signs with another secret than the one that is configured, it calls "
        "another URL than `BROADSHEET_PUBLIC_URL` says, or it is not the carrier. operate.md says what to do under "
        "BroadsheetWebhooksRefused.",
    ),
    errors.NotFound: Problem(
        status=404,
        name="not-found",
        title="There is no such thing",
        advice="There is no such route, or nothing has this id. Ids are plain decimal numbers: `7`, not `07` or `+7`.",
    ),
    errors.NothingScheduled: Problem(
        status=404,
        name="nothing-scheduled",
        title="No broadcast is scheduled for today",
        advice="`POST /make` makes the nearest scheduled broadcast of today, in the organisation's time zone: there is "
        "none.",
    ),
    MethodNotAllowedException: Problem(
        status=405,
        name="method-not-allowed",
        title="Not a method of this route",
        advice="`Allow` lists those that it has.",
    ),
    errors.Conflict: Problem(
        status=409,
        name="conflict",
        title="Not possible in this state",
        advice="What was asked for does not go with the state of the broadcast or contact; `detail` says which it is.",
    ),
    errors.AlreadySent: Problem(
        status=409,
        name="already-sent",
        title="Messages have left already",
        advice="The broadcast cannot be called back any more: `detail` says how many have it, or may have, and how "
        "many do not. Nothing has changed. Pause it to stop the rest for now, or cancel it.",
    ),
    errors.EmptyDraw: Problem(
        status=409,
        name="empty-draw",
        title="No contact can be drawn",
        advice="Every member of the broadcast's segments has opted out, or they have no member. It stays scheduled.",
    ),
    NameTaken: Problem(
        status=409,
        name="name-taken",
        title="The name is taken",
        advice="Choose another name, or use the one that has it.",
    ),
    errors.NoSegments: Problem(
        status=409,
        name="no-segments",
        title="The broadcast has no audience",
        advice="It is a draft. `PATCH` segments into it, then make it.",
    ),
    errors.NotApproved: Problem(
        status=409,
        name="not-approved",
        title="Nobody has approved it yet",
        advice="`BROADSHEET_APPROVAL_REQUIRED` asks that an approver or an admin who did not write the broadcast "
        "approves it at the desk. A change takes the approval back.",
    ),
    errors.NotReconciled: Problem(
        status=409,
        name="not-reconciled",
        title="Restored from a backup and not settled yet",
        advice="The database was restored to a point in the past. `broadsheet reconcile` finds what was sent since; "
        "until then nothing starts.",
    ),
    errors.Unrenderable: Problem(
        status=409,
        name="unrenderable",
        title="Some people's messages cannot be made",
        advice="The messages have variables, and some of the people lack a value that has no default, or would get "
        "more than 1,600 characters; `detail` says how many. `GET /broadcasts/{id}/preflight` lists them. Give the "
        'variable a default, `{{ first_name | default: "neighbor" }}`, give the people the value, or leave them out.',
    ),
    Changed: Problem(
        status=412,
        name="changed",
        title="It was changed since it was read",
        advice="`If-Match` names a version that is not the present one. Read it again, look at what is new, and send "
        "the change with the new `ETag`.",
    ),
    RequestEntityTooLarge: Problem(
        status=413,
        name="too-large",
        title="The body is too large",
        advice="The limit is 1 MiB, and 64 MiB for a file of contacts. Divide the file.",
    ),
    UnsupportedMediaType: Problem(
        status=415,
        name="unsupported-media-type",
        title="Not a kind of body that is read here",
        advice="Send the `Content-Type` that the API's description names for this route, without a `Content-Encoding`. "
        "`Accept`, or `Accept-Encoding`, says what is taken.",
    ),
    errors.Invalid: INVALID,
    InvalidFields: INVALID,
    ValidationException: INVALID,
    KeyReused: Problem(
        status=422,
        name="idempotency-key-reused",
        title="The Idempotency-Key belongs to another request",
        advice="A key stands for one request. A new request needs a new key.",
    ),
    TooBusy: Problem(
        status=429,
        name="too-busy",
        title="Too many at once; try again",
        advice="Some files of contacts are being imported and more wait, or many test messages were asked for within a "
        "minute. Nothing has changed: send it again after `Retry-After` seconds.",
    ),
    NotReady: UNAVAILABLE,
    errors.ConcurrencyError: UNAVAILABLE,
    database.DatabaseUnavailable: UNAVAILABLE,
    database.Collision: UNAVAILABLE,
    database.StatementTimeout: UNAVAILABLE,
    database.SchemaMissing: UNAVAILABLE,
    Exception: INTERNAL,
}
PROBLEMS[NotFoundException] = PROBLEMS[errors.NotFound]
PROBLEMS[errors.NotInState] = PROBLEMS[errors.Conflict]
PROBLEMS[SignInNeeded] = PROBLEMS[Unauthorized]
PROBLEMS[PermissionDeniedException] = PROBLEMS[Forbidden]
PROBLEMS[BodyCutShort] = PROBLEMS[MalformedBody]
PROBLEMS[TooManyTests] = PROBLEMS[TooBusy]


def of(error: Exception) -> Problem:
    """Return what an error is to the caller."""
    for cls in type(error).__mro__:
        if cls is not Exception and cls in PROBLEMS:
            return PROBLEMS[cls]
    if isinstance(error, HTTPException) and error.status_code < HTTP_500_INTERNAL_SERVER_ERROR:
        return MALFORMED_REQUEST
    return INTERNAL


def body(problem: Problem, detail: str = "") -> dict[str, Any]:
    """Return what every answer of a problem says."""
    content = {"type": problem.type, "title": problem.title, "status": problem.status}
    return {**content, "detail": detail} if detail else content
