"""Missive's REST API, as far as messages go through it.

A message is a draft that is sent at once: `POST /v1/drafts` with `send: true`
(https://missiveapp.com/docs/developers/rest-api/endpoints). The answer is 201 with the draft's id and its
conversation's; the status says whether it was taken, and the body of a 201 may be empty (ibid., "Getting started"). The
documentation does not say what an error looks like; `{"error": {"message": …}}` is taken for Missive's, and nothing
else.

The body of a draft is "HTML or text string" in the documentation, without a word on which of the two a text message
is taken for. It goes as it is: escaping would show `&amp;` to everybody if it is text, and `a < b & c` reads the same
as either. A message that *is* markup (`<b>`) may arrive without its tags.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from libs.common.carriers import answers, error_codes, http, missive_conversations, missive_words
from libs.common.carriers.clocks import Meter
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.http import Ready
from libs.common.carriers.missive_words import Words
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Unknown
from libs.common.clock import Clock, utc_now
from libs.common.domain import rate_windows
from libs.common.domain.rate_windows import MISSIVE_CONCURRENT

#: What Missive lists at once, at most (https://missiveapp.com/docs/developers/rest-api/endpoints).
LABELS_A_PAGE, CONVERSATIONS_A_PAGE = 200, 50


@dataclass(frozen=True, slots=True)
class Label:
    """A label of an organisation."""

    id: str
    name: str


def conversation_url(conversation_id: str) -> str:
    """Return where a conversation is read in Missive (https://missiveapp.com/docs/developers/rest-api: `web_url`)."""
    return f"https://mail.missiveapp.com/#inbox/conversations/{quote(conversation_id, safe='')}"


class Missive:
    """Sends messages through Missive, and reads which messages of Twilio's they became."""

    name = "missive"

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        client: httpx.AsyncClient | None = None,
        timeout: float = http.TIMEOUT,
        max_connections: int = MISSIVE_CONCURRENT,
        organization: str = "",
        labels: Sequence[str] = (),
        now: Clock = utc_now,
    ) -> None:
        #: Measures Missive's clock.
        self.meter = Meter(now)
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        #: What goes with each draft: labels, which Missive takes from an organisation alone.
        self._organization, self._labels = organization, list(labels)
        self._timeout = timeout
        self._owns_client = client is None
        self._client = client or http.create_client(timeout=timeout, max_connections=max_connections)

    async def send(
        self,
        *,
        to: str,
        from_number: str,
        body: str,
        may_still_send: Callable[[], bool],
        ready: Ready = http.at_once,
        labels: Sequence[str] = (),
        valid_for: int | None = None,
    ) -> Outcome:
        """Ask for one message, once. See `Carrier.send`."""
        every = list(dict.fromkeys([*self._labels, *labels]))
        draft = {
            "body": body,
            "from_field": {"phone_number": from_number, "type": "twilio"},
            "to_fields": [{"phone_number": to}],
            "send": True,
            **({"organization": self._organization, "add_shared_labels": every} if every else {}),
        }
        answer = await http.post(
            self._client,
            f"{self._base_url}/v1/drafts",
            timeout=self._timeout,
            may_still_send=may_still_send,
            ready=ready,
            meter=self.meter,
            headers=self._headers,
            json={"drafts": draft},
        )
        return answer if isinstance(answer, Deferred | Unknown) else _outcome(answer)

    async def external_id(self, missive_id: str) -> str | None:
        """Return Twilio's sid of a message; None while it has none, or if there is no such message.

        Raise CarrierUnreadable.
        """
        return (await self.external_ids([missive_id])).get(missive_id)

    async def external_ids(self, missive_ids: Sequence[str], *, ready: Ready = http.at_once) -> dict[str, str | None]:
        """Return Twilio's sids of several messages in one request, since reading counts towards the limits of sending.

        A message that has none yet is there with None; one that Missive does not know is not there.

        (`GET /v1/messages/:id,:id2`: https://missiveapp.com/docs/developers/rest-api/rate-limits#reducing-api-calls)
        Raise CarrierUnreadable.
        """
        asked = dict.fromkeys(missive_ids)
        messages = {answers.text_in(each, "id"): each for each in await self._read(list(asked), ready)}
        return {each: answers.text_in(messages[each], "external_id") for each in asked if each in messages}

    async def words(self, missive_ids: Sequence[str], *, ready: Ready = http.at_once) -> dict[str, Words]:
        """Return the words of several messages in one request, of those that Missive has. Raise CarrierUnreadable."""
        asked = dict.fromkeys(missive_ids)
        messages = {answers.text_in(each, "id"): each for each in await self._read(list(asked), ready)}
        return {each: missive_words.of_message(messages[each]) for each in asked if each in messages}

    async def labels(self, *, offset: int, ready: Ready = http.at_once) -> list[Label]:
        """Return a page of the organisation's labels, `LABELS_A_PAGE` of them at most. Raise CarrierUnreadable.

        (`GET /v1/shared_labels`: https://missiveapp.com/docs/developers/rest-api/endpoints)
        """
        asked: dict[str, str | int | float] = {"limit": LABELS_A_PAGE, "offset": offset}
        if self._organization:
            asked["organization"] = self._organization
        content = await self._get("shared_labels", ready, asked)
        listed = _objects(content, "shared_labels")
        return [
            Label(id=each["id"], name=each["name"].strip())
            for each in listed
            if missive_conversations.is_id(each.get("id")) and isinstance(each.get("name"), str)
        ]

    async def make_label(self, name: str, *, ready: Ready = http.at_once) -> str:
        """Make a label of the organisation's and return its id. Raise CarrierUnreadable, also where nobody knows.

        (`POST /v1/shared_labels`: https://missiveapp.com/docs/developers/rest-api/endpoints)
        """
        answer = await http.post(
            self._client,
            f"{self._base_url}/v1/shared_labels",
            timeout=self._timeout,
            may_still_send=lambda: True,
            ready=ready,
            meter=self.meter,
            headers=self._headers,
            json={"shared_labels": [{"name": name, "organization": self._organization}]},
        )
        if isinstance(answer, Deferred | Unknown):
            raise CarrierUnreadable("The label was asked for without an answer", code="no_answer")
        if not answer.is_success:
            code = own_code(answer)
            raise CarrierUnreadable(
                "Missive did not make the label",
                code=code or error_codes.gateway(answer.status_code),
                http_status=None if code is None else answer.status_code,
                retry_after=answers.retry_after(answer),
            )
        made = (answers.json_object(answer) or {}).get("shared_labels")
        first = made[0] if isinstance(made, list) and made else made
        label_id = first.get("id") if isinstance(first, dict) else None
        if not missive_conversations.is_id(label_id):
            raise CarrierUnreadable("The carrier answered without the label")
        return str(label_id)

    async def conversations(self, label: str, *, until: float | None, ready: Ready = http.at_once) -> list[Any]:
        """Return a page of the conversations with a label, the newest activity first, as Missive writes them.

        `until` is the `last_activity_at` of the oldest one of the page before. Raise CarrierUnreadable.
        (`GET /v1/conversations`: https://missiveapp.com/docs/developers/rest-api/endpoints)
        """
        asked: dict[str, str | int | float] = {"shared_label": label, "limit": CONVERSATIONS_A_PAGE}
        if until is not None:
            asked["until"] = until
        return _objects(await self._get("conversations", ready, asked), "conversations")

    async def _get(
        self, what: str, ready: Ready, query: Mapping[str, str | int | float] | None = None
    ) -> dict[str, Any]:
        return await http.get(
            self._client,
            f"{self._base_url}/v1/{what}",
            own_code=own_code,
            timeout=self._timeout,
            ready=ready,
            meter=self.meter,
            headers=self._headers,
            params=query,
        )

    async def _read(self, missive_ids: Sequence[str], ready: Ready) -> list[Any]:
        """Read messages; none if Missive knows none of them. Raise CarrierUnreadable."""
        if not missive_ids:
            return []
        path = ",".join(quote(missive_id, safe="") for missive_id in missive_ids)
        try:
            content = await self._get(f"messages/{path}", ready)
        except CarrierUnreadable as error:
            if error.http_status == httpx.codes.NOT_FOUND:
                return []
            raise
        return _messages(content)

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._owns_client:
            await self._client.aclose()


def own_code(response: httpx.Response) -> str | None:
    """Return the code of an error of Missive's, `http_` and its status; None if the answer is not Missive's word."""
    is_own = answers.text_in(answers.json_object(response), "error", "message") is not None
    return f"http_{response.status_code}" if is_own else None


def _outcome(response: httpx.Response) -> Outcome:
    if not response.is_success:
        return answers.refusal(response, own_code(response))
    content = answers.json_object(response)
    missive_id = answers.text_in(content, "drafts", "id")
    # An empty 201 is a success without ids. Anything else without an id comes from somebody in between.
    is_empty = response.status_code == httpx.codes.CREATED and not response.content
    if missive_id is None and not is_empty:
        return Unknown(reason="unreadable_answer")
    return Accepted(
        missive_id=missive_id,
        missive_conversation_id=answers.text_in(content, "drafts", "conversation")
        or answers.text_in(content, "drafts", "conversation", "id"),
        wait=rate_windows.wait_for_window(response.headers, now=utc_now()),
    )


def _objects(content: dict[str, Any], name: str) -> list[Any]:
    listed = content.get(name)
    if not isinstance(listed, list):
        raise CarrierUnreadable(f"The carrier answered without {name}")
    return [each for each in listed if isinstance(each, dict)]


def _messages(content: dict[str, Any]) -> list[Any]:
    messages = content.get("messages")
    if isinstance(messages, dict):
        return [messages]
    if isinstance(messages, list):
        return messages
    raise CarrierUnreadable("The carrier answered without messages")
