"""Missive's REST API, as far as texts go through it.

A text is a draft that is sent at once: `POST /v1/drafts` with `send: true`
(https://missiveapp.com/docs/developers/rest-api/endpoints). The answer is 201 with the draft's id and its
conversation's; success is told by the status, and the body of a 201 may be empty (ibid., "Getting started").

The body of a draft is "HTML or text string" in the documentation, without a word on which of the two a text message
is taken for. It goes as it is: escaping would show `&amp;` to everybody if it is text, and `a < b & c` reads the same
as either. A message that *is* markup (`<b>`) may arrive without its tags.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from libs.common.carriers import limits, wire
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.limits import MISSIVE_CONCURRENT
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Unknown
from libs.common.clock import utc_now


class Missive:
    """Sends texts through Missive, and reads which texts of Twilio's they became."""

    name = "missive"

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        client: httpx.AsyncClient | None = None,
        timeout: float = wire.TIMEOUT,
        max_connections: int = MISSIVE_CONCURRENT,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._timeout = timeout
        self._owns_client = client is None
        self._client = client or wire.create_client(timeout=timeout, max_connections=max_connections)

    async def send(self, *, to: str, from_number: str, body: str, may_still_send: Callable[[], bool]) -> Outcome:
        """Ask for one text, once. See `Carrier.send`."""
        draft = {
            "body": body,
            "from_field": {"phone_number": from_number, "type": "twilio"},
            "to_fields": [{"phone_number": to}],
            "send": True,
        }
        answer = await wire.post(
            self._client,
            f"{self._base_url}/v1/drafts",
            timeout=self._timeout,
            may_still_send=may_still_send,
            headers=self._headers,
            json={"drafts": draft},
        )
        return answer if isinstance(answer, Deferred | Unknown) else _outcome(answer)

    async def external_id(self, missive_id: str) -> str | None:
        """Give Twilio's sid of a message; None while it has none, or if there is no such message.

        Raises CarrierUnreadable.
        """
        return (await self.external_ids([missive_id]))[missive_id]

    async def external_ids(self, missive_ids: Sequence[str]) -> dict[str, str | None]:
        """Give Twilio's sids of several messages in one request, since reading counts towards the limits of sending.

        (`GET /v1/messages/:id,:id2`: https://missiveapp.com/docs/developers/rest-api/rate-limits#reducing-api-calls)
        Raises CarrierUnreadable.
        """
        found: dict[str, str | None] = dict.fromkeys(missive_ids)
        if not found:
            return found
        path = ",".join(quote(missive_id, safe="") for missive_id in found)
        try:
            content = await wire.get(
                self._client, f"{self._base_url}/v1/messages/{path}", timeout=self._timeout, headers=self._headers
            )
        except CarrierUnreadable as error:
            if error.http_status == httpx.codes.NOT_FOUND:
                return found
            raise
        for message in _messages(content):
            missive_id = wire.text_in(message, "id")
            if missive_id in found:
                found[missive_id] = wire.text_in(message, "external_id")
        return found

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._owns_client:
            await self._client.aclose()


def _outcome(response: httpx.Response) -> Outcome:
    if not response.is_success:
        return wire.refusal(response)
    content = wire.parse_object(response.content)
    missive_id = wire.text_in(content, "drafts", "id")
    # An empty 201 is a success without ids. Anything else without an id comes from somebody in between.
    if missive_id is None and not (response.status_code == httpx.codes.CREATED and not response.content):
        return Unknown(reason="unreadable_answer")
    return Accepted(
        missive_id=missive_id,
        missive_conversation_id=wire.text_in(content, "drafts", "conversation")
        or wire.text_in(content, "drafts", "conversation", "id"),
        wait=limits.wait_for_window(response.headers, now=utc_now()),
    )


def _messages(content: dict[str, Any]) -> list[Any]:
    messages = content.get("messages")
    if isinstance(messages, dict):
        return [messages]
    if isinstance(messages, list):
        return messages
    raise CarrierUnreadable("The carrier answered without messages")
