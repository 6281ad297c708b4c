"""Numbers as people read them."""

from decimal import Decimal

from babel.numbers import format_currency, format_decimal, format_percent

from libs.common.catalogue import formats


def count(number: int) -> str:
    """Return a whole number with its thousands apart: "1,200"."""
    return str(format_decimal(number, locale=formats()))


def figure(number: float) -> str:
    """Return a number that need not be whole: "0.5", "60"."""
    return str(format_decimal(number, format="#,##0.##", locale=formats()))


def percent(part: int, whole: int) -> str:
    """Return a part of a whole as "98 %", or "0 %" of nothing."""
    return str(format_percent(part / whole if whole else 0, locale=formats()))


def hundredths(share: float, *, fine: bool = False) -> str:
    """Return a share as so many of 100: "12", or "0.4" where it is small or asked for finely."""
    of_100 = share * 100
    digits = 1 if fine or 0 < of_100 < 1 else 0
    return str(format_decimal(round(of_100, digits), locale=formats()))


def money(amount: Decimal, currency: str) -> str:
    """Return an amount of money: "US$16.60"."""
    return str(format_currency(amount, currency, locale=formats()))
