"""Writing a broadcast and changing it, in a transaction that is given: the HTTP API and the pages do the same."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from msgspec import UNSET

from libs.common.broadcasts import making, repository
from libs.common.database import Connection
from libs.common.domain import broadcast, message_bodies
from libs.common.domain import events as e
from libs.common.settings import Settings
from services.api.broadcasts import files, queries, wishes
from services.api.http import versions
from services.api.http.errors import InvalidFields
from services.api.schemas import Broadcast, BroadcastChanges, NewBroadcast, SegmentRef


async def create(connection: Connection, wish: NewBroadcast, settings: Settings, now: datetime) -> Broadcast:
    """Schedule a broadcast and return it. Raise InvalidFields."""
    await wishes.check(connection, wish, now, settings.own_numbers)
    number = settings.from_number if wish.from_number is UNSET else wish.from_number
    segments, size = wishes.shares(wish.segments), wish.max_recipients
    if wish.file is not None:
        file = await files.checked(connection, wish.file)
        segments, size = wishes.share_of(file), file.people if size is UNSET else size
    assert size is not UNSET, "it was checked"
    own_number = await wishes.number_id(connection, number)
    event = e.BroadcastScheduled(
        broadcast_id=await making.new_id(connection),
        run_at=wishes.in_utc(wish.run_at),
        first_message=message_bodies.checked_template(wish.first_message),
        second_message=_follow_up(wish.second_message),
        second_delay=settings.second_delay if wish.second_delay is UNSET else wish.second_delay,
        segments=segments,
        max_recipients=size,
        sending_number_id=own_number,
        pool=await wishes.pool(connection, wish.pool, own_number),
        recurring=wish.file is None if wish.recurring is UNSET else wish.recurring,
        week=wishes.week(wish.week),
        draft=wish.draft,
        label=wishes.label(wish.label),
        excluded=_ids(wish.exclude),
        fallback=None if wish.fallback is None else wish.fallback.segment_id,
        cap_texts=None if wish.frequency_cap is None else wish.frequency_cap.texts,
        cap_days=None if wish.frequency_cap is None else wish.frequency_cap.days,
        late=wish.late,
    )
    await making.create(connection, event, now)
    return await queries.one(connection, event.broadcast_id, settings.zone)


async def change(
    connection: Connection,
    broadcast_id: int,
    changes: BroadcastChanges,
    settings: Settings,
    now: datetime,
    *,
    wanted: frozenset[str] | None,
) -> Broadcast:
    """Change a scheduled broadcast and return it. Raise Conflict, Changed, InvalidFields, NotFound.

    `wanted` are the versions that may be changed (`versions.tag`); None if any may.
    """
    before = await repository.load(connection, broadcast_id)  # nobody else changes it until we are done
    versions.check(wanted, await queries.one(connection, broadcast_id, settings.zone))
    broadcast.edit(before, broadcast.unchanged(before))
    await wishes.check(connection, changes, now, settings.own_numbers, before)
    edited = broadcast.unchanged(before)
    if changes.first_message is not UNSET:
        edited = replace(edited, first_message=message_bodies.checked_template(changes.first_message))
    if changes.second_message is not UNSET:
        edited = replace(edited, second_message=_follow_up(changes.second_message))
    for name in ("second_delay", "max_recipients", "recurring", "draft", "late"):
        if (value := getattr(changes, name)) is not UNSET:
            edited = replace(edited, **{name: value})
    if changes.label is not UNSET:
        edited = replace(edited, label=wishes.label(changes.label))
    edited = replace(edited, week=_week(changes, edited))
    if changes.run_at is not UNSET:
        edited = replace(edited, run_at=wishes.in_utc(changes.run_at))
    if changes.segments is not UNSET:
        edited = replace(edited, segments=wishes.shares(changes.segments))
    if changes.file is not UNSET:
        file = await files.checked(connection, changes.file)
        size = file.people if changes.max_recipients is UNSET else changes.max_recipients
        edited = replace(edited, segments=wishes.share_of(file), max_recipients=size)
    if changes.exclude is not UNSET:
        edited = replace(edited, excluded=_ids(changes.exclude))
    if changes.fallback is not UNSET:
        edited = replace(edited, fallback=None if changes.fallback is None else changes.fallback.segment_id)
    if changes.frequency_cap is not UNSET:
        cap = changes.frequency_cap
        texts, days = (None, None) if cap is None else (cap.texts, cap.days)
        edited = replace(edited, cap_texts=texts, cap_days=days)
    if await files.is_one(connection, [each.segment_id for each in edited.segments]):
        if edited.recurring:
            raise InvalidFields(("recurring", wishes.ONCE))
        if edited.fallback is not None:
            raise InvalidFields(("fallback", wishes.NO_FALLBACK))
    if before.is_draft and not edited.draft and edited.segments and edited.run_at <= now:
        raise InvalidFields(("run_at", "must lie in the future"))
    if changes.from_number is not UNSET:
        edited = replace(edited, sending_number_id=await wishes.number_id(connection, changes.from_number))
    if changes.pool is not UNSET:
        edited = replace(edited, pool=await wishes.pool(connection, changes.pool, edited.sending_number_id))
    elif edited.sending_number_id in edited.pool:
        edited = replace(edited, pool=tuple(each for each in edited.pool if each != edited.sending_number_id))
    await repository.save(connection, before, broadcast.edit(before, edited), now)
    if edited.run_at != before.run_at:
        await making.plan_making(connection, broadcast_id, edited.run_at, now)
    return await queries.one(connection, broadcast_id, settings.zone)


def _follow_up(body: str | None) -> str | None:
    """Return the second message as it is kept; None where there is to be none."""
    return None if body is None else message_bodies.checked_template(body)


def _ids(segments: Sequence[SegmentRef]) -> tuple[int, ...]:
    """Return segments as events name them."""
    return tuple(each.segment_id for each in segments)


def _week(changes: BroadcastChanges, edited: e.BroadcastEdited) -> tuple[str, ...]:
    """Return the times of the weekdays after some changes; none where it does not repeat. Raise InvalidFields."""
    if changes.week is UNSET:
        return edited.week if edited.recurring else ()
    if changes.week is not None and not edited.recurring:
        raise InvalidFields(("week", wishes.REPEATS))
    return wishes.week(changes.week)
