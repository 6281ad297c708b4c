"""Missive's REST API as far as messages go through it.

`POST /v1/drafts` with `send: true`, `GET /v1/messages/:id` (several ids with commas between them), `POST /v1/posts`,
`GET /v1/organizations`, by which a token is tried, and labels (`missive_labels`):
https://missiveapp.com/docs/developers/rest-api/endpoints. Limits:
https://missiveapp.com/docs/developers/rest-api/rate-limits. What the documentation leaves open is decided here: an
error's body is `{"error": {"message": …}}`; a number that is none (the plan's `invalid`) is refused at once with 400.
"""

from dataclasses import replace
from typing import Any

import msgspec

from libs.simulator import handsets, missive_labels
from libs.simulator.clock import CarrierClock
from libs.simulator.config import is_phone_number
from libs.simulator.ledger import Message
from libs.simulator.network import Network, author, previewed
from libs.simulator.requests import Answer, Call, answer_with_faults

PREFIX = "/v1"
DRAFTS = "/v1/drafts"
MESSAGES = "/v1/messages/"
POSTS = "/v1/posts"
ORGANIZATIONS = "/v1/organizations"
#: What is listed, as it is named in the record.
_LISTS = {
    ORGANIZATIONS: "missive_organizations",
    missive_labels.LABELS: "missive_labels",
    missive_labels.CONVERSATIONS: "missive_conversations",
}


def kind_of(method: str, path: str) -> str:
    """Name a request for the record."""
    if path == DRAFTS and method == "POST":
        return "missive_send"
    if path == POSTS and method == "POST":
        return "missive_post"
    if path == missive_labels.LABELS and method == "POST":
        return "missive_label"
    if method == "GET" and path in _LISTS:
        return _LISTS[path]
    return "missive_message" if path.startswith(MESSAGES) and method == "GET" else "other"


def answer(network: Network, call: Call, *, concurrent: int) -> Answer:
    """Answer a request."""
    token = network.config.missive_token
    if token and call.bearer_token() != token:
        return Answer(status=401, content=error("Invalid or missing token"))
    verdict = network.missive_limiter.check(network.config.limits, concurrent=concurrent, now=network.clock.now())
    if not verdict.allowed:
        content = error("Rate limit exceeded")
        return Answer(status=429, content=content, headers=verdict.headers, is_violation=True)
    given = _route(network, call)
    return replace(given, headers={**verdict.headers, **given.headers})


def _route(network: Network, call: Call) -> Answer:
    match kind_of(call.method, call.path):
        case "missive_send":
            return _create_draft(network, call)
        case "missive_message":
            ids = call.path.removeprefix(MESSAGES)
            return answer_with_faults(
                lambda: _messages(network, ids),
                network.faults,
                on="message",
                carrier="missive",
                error=lambda status: error(f"Error {status}"),
            )
        case "missive_post":
            return _post(network, call)
        case "missive_organizations":
            return Answer(status=200, content={"organizations": [{"id": "simulated", "name": "Simulated"}]})
        case "missive_labels":
            return missive_labels.answer_labels(network, call)
        case "missive_label":
            return answer_with_faults(
                lambda: missive_labels.create(network, call),
                network.faults,
                on="label",
                carrier="missive",
                error=lambda status: error(f"Error {status}"),
            )
        case "missive_conversations":
            return missive_labels.answer_conversations(network, call)
        case _:
            return Answer(status=404, content=error("Not found"))


def _create_draft(network: Network, call: Call) -> Answer:
    try:
        draft = msgspec.json.decode(call.body, type=_Envelope).drafts
    except msgspec.MsgspecError as problem:
        return Answer(status=400, content=error(str(problem)))
    to = draft.to_fields[0].phone_number if len(draft.to_fields) == 1 else None
    return answer_with_faults(
        lambda: _send(network, draft),
        network.faults,
        on="send",
        carrier="missive",
        error=lambda status: error(f"Error {status}"),
        to=to,
    )


def _send(network: Network, draft: "_Draft") -> Answer:
    problem = _problem(network, draft)
    if problem is not None:
        network.ledger.refused["missive_400"] += 1
        return Answer(status=400, content=error(problem))
    to, from_number = draft.to_fields[0].phone_number, draft.from_field.phone_number
    if not draft.send:
        conversation = network.conversation(from_number, to)
        return _created(str(network.identity("draft", draft.body, to)), conversation, draft)
    is_lost = network.faults.find("send", ("never_handed_over",), carrier="missive", to=to) is not None
    message = network.accept(carrier="missive", to=to, from_number=from_number, body=draft.body, is_lost=is_lost)
    missive_labels.add(network, from_number, to, draft.add_shared_labels)
    assert message.missive_id is not None
    assert message.conversation is not None
    return _created(message.missive_id, message.conversation, draft)


def _problem(network: Network, draft: "_Draft") -> str | None:
    if len(draft.to_fields) != 1:
        return "drafts.to_fields must have one item when phone_number is used"
    to, from_number = draft.to_fields[0].phone_number, draft.from_field.phone_number
    if not network.config.owns(from_number):
        return "drafts.from_field.phone_number must be a number of your account"
    if not is_phone_number(to) or handsets.behaviour(network.config.plan, to) == "invalid":
        return "drafts.to_fields.phone_number is invalid"
    if draft.add_shared_labels and not draft.organization:
        return "drafts.organization is needed with add_shared_labels"
    if not set(draft.add_shared_labels) <= set(network.config.missive_labels):
        return "drafts.add_shared_labels has a label that is none of the organization's"
    return None if draft.body.strip() else "drafts.body is missing"


def _created(missive_id: str, conversation: str, draft: "_Draft") -> Answer:
    content = {
        "id": missive_id,
        "subject": None,
        "body": draft.body,
        "from_field": author(draft.from_field.phone_number),
        "to_fields": [author(draft.to_fields[0].phone_number)],
        "conversation": conversation,
    }
    return Answer(status=201, content={"drafts": content})


def _post(network: Network, call: Call) -> Answer:
    """Take a post: it needs a notification and words, and a conversation to stand in."""
    try:
        post = msgspec.json.decode(call.body, type=_PostEnvelope).posts
    except msgspec.MsgspecError as problem:
        return Answer(status=400, content=error(str(problem)))
    identity = str(network.identity("post", post.conversation, post.text))
    network.ledger.posts.append((post.conversation, post.text))
    return Answer(status=201, content={"posts": {"id": identity, "conversation": post.conversation}})


def _messages(network: Network, ids: str) -> Answer:
    asked = ids.split(",")
    found = [message for message in map(network.ledger.by_missive_id, asked) if message is not None]
    if not found:
        return Answer(status=404, content=error("Not found"))
    messages = [_message(message, network.clocks["missive"], network.config.missive_preview) for message in found]
    return Answer(status=200, content={"messages": messages if len(asked) > 1 else messages[0]})


def _message(message: Message, clock: CarrierClock, preview: int) -> dict[str, Any]:
    return {
        "id": message.missive_id,
        "subject": None,
        "preview": previewed(message.body, preview),
        "body": message.body,
        "type": "sms",
        "created_at": int(clock.read(message.accepted_at)),
        "delivered_at": None if message.handed_over_at is None else int(clock.read(message.handed_over_at)),
        "updated_at": int(clock.read(message.updated_at)),
        "external_id": message.sid,
        "from_field": author(message.from_number),
        "to_fields": [author(message.to)],
        "attachments": [],
        "conversation": {"id": message.conversation, "subject": None, "messages_count": 1},
    }


def error(message: str) -> dict[str, Any]:
    """Write an error as Missive might."""
    return {"error": {"message": message}}


class _Number(msgspec.Struct):
    phone_number: str
    type: str = "twilio"


class _Draft(msgspec.Struct):
    body: str
    from_field: _Number
    to_fields: list[_Number]
    send: bool = False
    organization: str | None = None
    add_shared_labels: list[str] = []


class _Envelope(msgspec.Struct):
    drafts: _Draft


class _Notification(msgspec.Struct):
    title: str
    body: str


class _Post(msgspec.Struct):
    conversation: str
    notification: _Notification
    text: str
    username: str | None = None


class _PostEnvelope(msgspec.Struct):
    posts: _Post
