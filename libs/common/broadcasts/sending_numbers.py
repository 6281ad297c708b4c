"""The register of our numbers: how each sends. Which numbers are ours is configuration, and stands in no table."""

from sqlalchemy import text

from libs.common.database import Connection, EnumText, one_row
from libs.common.domain.sending_numbers import CarrierName, SendingNumber

#: The columns of a `SendingNumber`, of `n`.
COLUMNS = (
    "n.id, n.phone_number, n.carrier, n.rate, n.minute_limit, n.daily_cap, n.hours, n.enabled, n.messaging_service_sid"
)
TYPES = {"carrier": EnumText(CarrierName)}

#: One number.
ONE = text(f"SELECT {COLUMNS} FROM sending_numbers n WHERE n.id = :id").columns(**TYPES)

#: Which number each Messaging Service sends for, or has sent for: what it has sent stays that number's.
SERVICES = text("""
SELECT s.sid, n.phone_number FROM messaging_services s JOIN sending_numbers n ON n.id = s.sending_number_id
""")


async def services(connection: Connection) -> dict[str, str]:
    """Return the numbers of Messaging Services, by their SIDs."""
    return dict((await connection.execute(SERVICES)).tuples().all())


async def one(connection: Connection, sending_number_id: int) -> SendingNumber:
    """Return a number that is there."""
    return one_row(await connection.execute(ONE, {"id": sending_number_id}), SendingNumber)
