"""What `twilio_sync` asks the database."""

#: What a pass needs to know of its broadcast.
BROADCAST = """
SELECT b.id, b.made_at, b.sync_started_at, b.twilio_paging, n.phone_number, s.number AS sync_number,
       s.due_at AS sync_due_at
FROM broadcasts b
JOIN sending_numbers n ON n.id = b.sending_number_id
LEFT JOIN syncs s ON s.broadcast_id = b.id
WHERE b.id = %(broadcast_id)s
"""

#: Locks and gives which texts the entries of a page are known to be, of whatever broadcast. Without the lock a delivery
#: report that comes in meanwhile would be overwritten by what the log said before it.
KNOWN_SIDS = """
SELECT outgoing_message_id AS text, broadcast_id, twilio_id, twilio_sent_status AS status
FROM broadcast_sent_message_status WHERE twilio_id = ANY(%(sids)s) ORDER BY outgoing_message_id FOR NO KEY UPDATE
"""

#: Locks the accepted texts to some numbers whose entry is not known, with the texts to those numbers whose answer is
#: not known: an entry may be theirs, too.
CANDIDATES = """
SELECT m.id AS text, m.broadcast_id, m.recipient_phone_number AS number, m.attempt_started_at, m.state, m.attempts,
       m.failures, m.is_second, CASE WHEN m.is_second THEN b.second_message ELSE b.first_message END AS body
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = b.sending_number_id
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.recipient_phone_number = ANY(%(numbers)s) AND n.phone_number = %(from_number)s
  AND ((m.state = 'accepted' AND s.twilio_id IS NULL) OR m.state IN ('started', 'uncertain'))
ORDER BY m.id FOR NO KEY UPDATE OF m
"""

#: Uncertain texts old enough to be looked up, the oldest first.
UNCERTAIN = """
SELECT id AS text, recipient_phone_number AS number, attempts, attempt_started_at FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state = 'uncertain' AND attempt_started_at <= %(before)s
ORDER BY attempt_started_at, id LIMIT %(limit)s
"""

#: The newest texts that the carrier is known to have taken, of those that the log should have by now.
LAST_TAKEN = """
SELECT recipient_phone_number AS number, attempt_started_at AS at FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state = 'accepted' AND attempt_started_at <= %(before)s
  AND recipient_phone_number IS NOT NULL
ORDER BY attempt_started_at DESC LIMIT 3
"""

#: Whether the carrier has taken a text of a broadcast whose attempt began after a time.
TAKEN_SINCE = """
SELECT EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = %(broadcast_id)s AND state = 'accepted'
               AND attempt_started_at > %(at)s) AS taken
"""

#: When the next of the others may be looked up.
NEXT_UNCERTAIN = """
SELECT min(attempt_started_at) AS at FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND state = 'uncertain'
"""

#: Accepted texts whose entry was not found by number, body and time, for which the provider is asked.
WITHOUT_SID = """
SELECT s.outgoing_message_id AS text, s.missive_id FROM broadcast_sent_message_status s
JOIN outgoing_messages m ON m.id = s.outgoing_message_id
WHERE s.broadcast_id = %(broadcast_id)s AND NOT s.settled AND s.twilio_id IS NULL AND s.missive_id IS NOT NULL
  AND m.attempt_started_at <= %(before)s
ORDER BY s.outgoing_message_id LIMIT %(limit)s
"""

#: The pass is over; the planner decides when the next one is.
PASS_OVER = "UPDATE syncs SET due_at = NULL WHERE broadcast_id = %(broadcast_id)s"

#: The pass could not be made; it comes again.
PASS_AGAIN = "UPDATE syncs SET due_at = %(due)s WHERE broadcast_id = %(broadcast_id)s"
