"""Broadcasts that are over, with who answered them."""

from tests.integration.api.support import NOW, Api, incoming


async def over(api: Api, people: int, replied: int, *, stopped: int = 0, hour: int = 15) -> int:
    """Have a broadcast delivered to so many people at an hour (UTC), answered by some, and over."""
    api.clock.now = NOW.replace(hour=hour)
    broadcast = await api.made(people, max_recipients=people)
    await api.sent(broadcast)
    await api.query("UPDATE broadcast_sent_message_status SET twilio_sent_status = 'delivered'")
    await api.query(
        "UPDATE outgoing_messages SET attempt_started_at = %s WHERE broadcast_id = %s AND NOT is_second",
        api.clock.now, broadcast,
    )  # fmt: skip
    api.clock.forward(seconds=60)
    numbers = await api.column(
        "SELECT recipient_phone_number FROM outgoing_messages WHERE broadcast_id = %s AND NOT is_second ORDER BY id"
        " LIMIT %s", broadcast, replied + stopped,
    )  # fmt: skip
    for place, number in enumerate(numbers):
        body = "yes" if place < replied else "STOP"
        await api.missive(incoming(number, body, api.clock.now, sid=f"SM-{broadcast}-{place}"))
    await api.query("UPDATE broadcasts SET state = 'completed', completed_at = %s WHERE id = %s", NOW, broadcast)
    return broadcast
