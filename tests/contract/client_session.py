# mypy: ignore-errors
"""What a programmer does with a client that was generated. It runs in the tools' environment, with URL and key.

Contacts from a file, a segment, a broadcast, an error, the report. It ends at the first thing that is not as it should.
"""

import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO

from broadsheet_client import AuthenticatedClient
from broadsheet_client.api.broadcasts import (
    get_broadcast,
    get_broadcast_report,
    post_broadcast_send_now,
    post_broadcasts,
)
from broadsheet_client.api.contacts import get_contacts, post_contacts_import
from broadsheet_client.api.segments import post_segments
from broadsheet_client.models import (
    Broadcast,
    Imported,
    InvalidFieldProblem,
    NewBroadcast,
    NewSegment,
    NotFoundProblem,
    PostContactsImportFilesBody,
    Report,
    Segment,
    Share,
    UnauthorizedProblem,
)
from broadsheet_client.types import File

CSV = b"phone_number,name,tags\n+13135550142,Ann,north\n+13135550143,Bo,north;east\nnobody,Cy,north\n"


def check(value, kind):
    """Return a value back that is of a kind."""
    if not isinstance(value, kind):
        sys.exit(f"{value!r} is no {kind.__name__}")
    return value


def main(url, key):
    """Do it."""
    client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
    form = PostContactsImportFilesBody(file=File(payload=BytesIO(CSV), file_name="contacts.csv", mime_type="text/csv"))
    imported = check(post_contacts_import.sync(client=client, body=form, idempotency_key="import"), Imported)
    assert (imported.imported, imported.rejected_count, imported.rejected[0].line) == (2, 1, 4), imported
    again = check(post_contacts_import.sync(client=client, body=File(payload=BytesIO(CSV))), Imported)
    assert (again.imported, again.unchanged) == (0, 2), again
    assert {contact.name for contact in get_contacts.sync(client=client, tag="north").items} == {"Ann", "Bo"}

    segment = check(post_segments.sync(client=client, body=NewSegment(name="north", filter_="north")), Segment)
    wish = NewBroadcast(
        run_at=datetime.now(UTC) + timedelta(hours=1),
        first_message="What should we look into?",
        second_message="We would still like to hear from you.",
        segments=[Share(segment_id=segment.id, ratio=100)],
        max_recipients=10,
        recurring=False,
    )
    made = check(post_broadcasts.sync(client=client, body=wish), Broadcast)
    assert made.state == "scheduled", made

    wish.run_at = datetime(2020, 1, 1, tzinfo=UTC)
    refused = check(post_broadcasts.sync(client=client, body=wish), InvalidFieldProblem)
    assert [error.field for error in refused.errors] == ["run_at"], refused
    missing = check(get_broadcast.sync(made.id + 1, client=client), NotFoundProblem)
    assert missing.type_ == "urn:broadsheet:problem:not-found", missing
    stranger = AuthenticatedClient(base_url=url, token="no key of ours")
    check(get_broadcast.sync(made.id, client=stranger), UnauthorizedProblem)

    sent = check(post_broadcast_send_now.sync(made.id, client=client), Broadcast)
    report = check(get_broadcast_report.sync(made.id, client=client), Report)
    assert (sent.recipients, report.ledger.planned, report.ledger.undecided) == (2, 4, 4), report


main(*sys.argv[1:])
