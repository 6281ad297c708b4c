"""Labels of Missive's conversations: those of drafts, those that staff put on and take off, and the lists of both.

`GET` and `POST /v1/shared_labels`, and `GET /v1/conversations?shared_label=…`, the newest activity first, up to
`until`: https://missiveapp.com/docs/developers/rest-api/endpoints. A rule for label changes tells of all labels that a
conversation has then: https://missiveapp.com/docs/developers/webhooks.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from libs.simulator.ledger import Conversation
from libs.simulator.network import Network, author
from libs.simulator.requests import Answer, Call

LABELS = "/v1/shared_labels"
CONVERSATIONS = "/v1/conversations"
MOST_LABELS, MOST_CONVERSATIONS = 200, 50


def put(network: Network, our_number: str, handset: str, labels: Sequence[str], *, tell: bool) -> Conversation:
    """Have a conversation carry these labels and no others; tell of it by the rule's webhook, if asked to."""
    key = network.conversation(our_number, handset)
    conversation = network.labelled.setdefault(key, Conversation(key, our_number, handset))
    conversation.labels = list(dict.fromkeys(labels))
    conversation.active_at = network.clock.now()
    if tell and network.config.missive_webhook_url:
        rule = {"id": str(network.identity("rule", "labels")), "description": "", "type": "label_change"}
        payload = {"rule": rule, "conversation": told(network, conversation)}
        network.webhooks.post_missive(network.config, network.faults, payload, sid=None, taken=lambda: None)
    return conversation


def add(network: Network, our_number: str, handset: str, labels: Sequence[str]) -> None:
    """Have a conversation carry these labels, too: those of a draft."""
    if labels:
        known = network.labelled.get(network.conversation(our_number, handset))
        put(network, our_number, handset, [*(known.labels if known else ()), *labels], tell=False)


def told(network: Network, conversation: Conversation) -> dict[str, Any]:
    """Return a conversation as Missive writes it."""
    return {
        "id": conversation.id,
        "subject": None,
        "authors": [author(conversation.our_number), author(conversation.handset)],
        "shared_labels": [_label(network, each) for each in conversation.labels],
        "last_activity_at": conversation.active_at,
    }


def answer_labels(network: Network, call: Call) -> Answer:
    """List the labels of the organisation."""
    query = parse_qs(call.query)
    begin, limit = int(query.get("offset", ["0"])[0]), min(int(query.get("limit", ["50"])[0]), MOST_LABELS)
    listed = [_label(network, each) for each in network.config.missive_labels]
    return Answer(status=200, content={"shared_labels": listed[begin : begin + limit]})


def create(network: Network, call: Call) -> Answer:
    """Make labels of the organisation: as Missive does, each time that it is asked."""
    try:
        wanted = msgspec.json.decode(call.body, type=_Wanted).shared_labels
    except msgspec.MsgspecError as problem:
        return Answer(status=400, content={"error": {"message": str(problem)}})
    made = []
    for each in wanted:
        key = str(network.identity("label", each.name, str(len(network.config.missive_labels))))
        network.config.missive_labels[key] = each.name
        made.append(_label(network, key))
    return Answer(status=201, content={"shared_labels": made})


class _NewLabel(msgspec.Struct):
    name: str
    organization: str


class _Wanted(msgspec.Struct):
    shared_labels: list[_NewLabel]


def answer_conversations(network: Network, call: Call) -> Answer:
    """List the conversations with a label, the newest activity first; those of the time `until` may come twice."""
    query = parse_qs(call.query)
    wanted = query.get("shared_label", [""])[0]
    if wanted not in network.config.missive_labels:
        return Answer(status=400, content={"error": {"message": "a mailbox is missing"}})
    until, limit = float(query.get("until", ["inf"])[0]), min(int(query.get("limit", ["25"])[0]), MOST_CONVERSATIONS)
    found = [each for each in network.labelled.values() if wanted in each.labels and each.active_at <= until]
    found.sort(key=lambda each: each.active_at, reverse=True)
    return Answer(status=200, content={"conversations": [told(network, each) for each in found[:limit]]})


def _label(network: Network, label: str) -> dict[str, Any]:
    return {"id": label, "name": network.config.missive_labels.get(label, label)}
