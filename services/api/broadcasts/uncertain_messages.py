"""What staff may do about a message of which nobody can tell whether it was sent."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from libs.common.broadcasts import sending_again
from libs.common.database import Connection
from libs.common.domain.states import MessageState
from libs.common.errors import Conflict, Invalid
from services.api.context import Context
from services.api.http import idempotency
from services.api.http.contract import tells
from services.api.http.fields import PathId
from services.api.schemas import SendAgain, SentAgain


@post(
    "/broadcasts/{broadcast_id:int}/messages/{message_id:int}/send-again",
    opt=tells(Conflict, idempotent=True),
    status_code=200,
)
async def send_again(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    broadcast_id: PathId,
    message_id: PathId,
    data: JSONBody[SendAgain],
) -> Response[SentAgain]:
    """Send an uncertain message again all the same: it may come twice, and who says so is on record.

    409 unless it is uncertain, its phase still runs, and its recipient has neither opted out nor replied.
    """
    by = data.by.strip()
    if not by:
        raise Invalid("by", "must be the name of whoever says so")

    async def work(connection: Connection) -> SentAgain:
        now = api.clock()
        await sending_again.send_again(connection, broadcast_id, message_id, by=by, reason=data.reason.strip(), now=now)
        return SentAgain(broadcast_id=broadcast_id, message_id=message_id, state=MessageState.PENDING, by=by)

    return (await idempotency.once(api.engine, request, work, answer=SentAgain)).response()


HANDLERS = (send_again,)
