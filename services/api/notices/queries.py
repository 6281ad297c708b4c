"""Where notices go, and which: what people and the organisation have chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, EnumText, actor_of, all_rows
from libs.common.domain.notices import NoticeChannel, NoticeKind, NoticeOutcome

#: What a user has chosen, or the organisation (null), and how the last notice of each way fares.
OF = text(f"""
SELECT t.channel, t.address, t.kinds, n.outcome, n.attempts, n.failure,
       coalesce(n.ended_at, n.happened_at) AS at, n.kind AS last
FROM notice_targets t LEFT JOIN LATERAL (
    SELECT * FROM notices n WHERE n.target_id = t.id
      AND (n.attempts > 0 OR n.outcome IS NOT NULL OR n.kind = '{NoticeKind.TEST}')
    ORDER BY n.id DESC LIMIT 1
) AS n ON true
WHERE t.user_id IS NOT DISTINCT FROM CAST(:user_id AS bigint)
""").columns(channel=EnumText(NoticeChannel), outcome=EnumText(NoticeOutcome), last=EnumText(NoticeKind))

#: Chooses. The secret of a webhook stays as long as its address does; what it is now is given back.
CHOOSE = text("""
INSERT INTO notice_targets AS t (user_id, channel, address, secret, kinds)
VALUES (CAST(:user_id AS bigint), :channel, :address, :secret, :kinds)
ON CONFLICT (coalesce(user_id, 0), channel) DO UPDATE SET
    secret = CASE WHEN t.address = excluded.address THEN t.secret ELSE excluded.secret END,
    address = excluded.address, kinds = excluded.kinds
RETURNING secret
""")

#: Chooses nothing any more; notices that wait go with it.
FORGET = text("""
DELETE FROM notice_targets
WHERE user_id IS NOT DISTINCT FROM CAST(:user_id AS bigint) AND channel = CAST(:channel AS text)
""")

#: Plans a test of a way, unless one is on its way.
TEST = text(f"""
INSERT INTO notices (target_id, kind, about, actor, happened_at, due_at)
SELECT t.id, '{NoticeKind.TEST}', CAST(1000 * extract(epoch FROM CAST(:now AS timestamptz)) AS bigint),
       CAST(:actor AS text), CAST(:now AS timestamptz), CAST(:now AS timestamptz)
FROM notice_targets t
WHERE t.user_id IS NOT DISTINCT FROM CAST(:user_id AS bigint) AND t.channel = CAST(:channel AS text)
  AND NOT EXISTS (
      SELECT FROM notices n WHERE n.target_id = t.id AND n.kind = '{NoticeKind.TEST}' AND n.ended_at IS NULL)
ON CONFLICT (target_id, kind, about) DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class Target:
    """A way that notices go."""

    channel: NoticeChannel
    address: str
    kinds: Sequence[str]
    #: How the last one fares; None where there was none, or where it is still tried.
    outcome: NoticeOutcome | None
    attempts: int | None
    failure: str | None
    at: datetime | None
    #: What it told.
    last: NoticeKind | None

    @property
    def choice(self) -> tuple[str, frozenset[str]]:
        """What was chosen: an address, and what goes there."""
        return self.address, frozenset(self.kinds)

    @property
    def is_test(self) -> bool:
        """Whether the last one was a test."""
        return self.last is NoticeKind.TEST

    @property
    def is_being_tested(self) -> bool:
        """Whether a test is on its way."""
        return self.is_test and self.outcome is None


async def of(connection: Connection, user_id: int | None) -> dict[NoticeChannel, Target]:
    """Return what a user has chosen by way, or the organisation."""
    rows = all_rows(await connection.execute(OF, {"user_id": user_id}), Target)
    return {row.channel: row for row in rows}


async def choose(
    connection: Connection,
    user_id: int | None,
    channel: NoticeChannel,
    *,
    address: str,
    secret: str | None,
    kinds: Sequence[NoticeKind],
) -> str | None:
    """Write what is chosen; return the secret, which is another than the given one where it was there before."""
    parameters = {
        "user_id": user_id,
        "channel": str(channel),
        "address": address,
        "secret": secret,
        "kinds": [str(kind) for kind in kinds],
    }
    kept: str | None = (await connection.execute(CHOOSE, parameters)).scalar_one()
    return kept


async def forget(connection: Connection, user_id: int | None, channel: NoticeChannel) -> None:
    """Have no notice go by a way any more."""
    await connection.execute(FORGET, {"user_id": user_id, "channel": str(channel)})


async def test(connection: Connection, user_id: int | None, channel: NoticeChannel, now: datetime) -> None:
    """Have a test notice go by a way that is chosen; nothing where none is, or where one is on its way."""
    actor = str(actor_of(connection))
    await connection.execute(TEST, {"user_id": user_id, "channel": str(channel), "actor": actor, "now": now})
