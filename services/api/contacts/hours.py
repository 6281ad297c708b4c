"""At what hours somebody may be texted, and from where that is known."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from libs.common.domain import number_places, quiet_hours, regional_hours
from libs.common.domain.quiet_hours import ALWAYS
from libs.common.settings import Settings
from services.api.http.fields import Moment
from services.api.schemas import Contact


class KnownFrom(StrEnum):
    """Where it is known from by which clocks somebody lives."""

    CONTACT = "contact"
    NUMBER = "number"
    ORGANISATION = "organisation"  # nothing is known of them: they have its clocks


class ContactHours(Struct, kw_only=True):
    """At what hours somebody may be texted: when all of their clocks allow it."""

    time_zones: list[str]
    known_from: KnownFrom
    #: Whose rules hold as well, and what they are called; null where none do.
    region: str | None
    region_name: str | None
    may_be_texted: bool
    #: When a text may leave next; null where it may now.
    next_at: Moment | None
    #: Until when it may; null where there are no quiet hours.
    until: Moment | None


def of(contact: Contact, settings: Settings, now: datetime) -> ContactHours:
    """Return at what hours a contact may be texted."""
    place = number_places.with_zone(contact.phone_number or "", contact.time_zone)
    holding = quiet_hours.holding(place, settings.rules, now)
    window = quiet_hours.next_window(place, settings.rules, now)
    known_from = KnownFrom.CONTACT if contact.time_zone else KnownFrom.NUMBER
    rule = regional_hours.rules().get(place.region) if settings.regional_hours and settings.quiet else None
    is_open = window.has_time(now)
    return ContactHours(
        time_zones=list(holding.zones),
        known_from=known_from if holding == place else KnownFrom.ORGANISATION,
        region=rule.region if rule else None,
        region_name=rule.name if rule else None,
        may_be_texted=is_open,
        next_at=None if is_open else window.opens,
        until=None if window == ALWAYS else window.closes,
    )
