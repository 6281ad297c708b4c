"""What a share and a comparison say, in words. Pure: rates in, words out."""

from libs.common.catalogue import gettext as _
from services.api.broadcasts.rates import Rate, difference
from services.api.desk.numbers import hundredths

#: Fewer than this say nothing of others.
FEWEST = 20


def between(rate: Rate) -> str:
    """Return how sure a share is: "between 8 and 12", or that nobody can tell."""
    if rate.delivered < FEWEST:
        return _("too few to tell")
    low, high = rate.interval
    return _("between %(low)s and %(high)s") % _ends(low, high)


def compared(one: Rate, other: Rate) -> str:
    """Return whether one broadcast was answered more than another, and how sure that is."""
    if min(one.delivered, other.delivered) < FEWEST:
        return _("Too few people got one of them to compare them.")
    low, high = difference(one, other)
    if low > 0:
        said = _("The first was answered more often: between %(low)s and %(high)s more of 100. That is hardly chance.")
        return said % _ends(low, high)
    if high < 0:
        said = _("The first was answered less often: between %(low)s and %(high)s fewer of 100. That is hardly chance.")
        return said % _ends(-high, -low)
    return _("With as many people as these, the difference may be chance.")


def _ends(low: float, high: float) -> dict[str, str]:
    fine = round(low * 100) == round(high * 100)
    return {"low": hundredths(low, fine=fine), "high": hundredths(high, fine=fine)}
