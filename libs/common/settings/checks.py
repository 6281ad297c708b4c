"""Checks of what a setting says. Each returns the value as it is used, or raises ValueError without a secret in it."""

import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import available_timezones

import httpx
from pydantic import AfterValidator, SecretStr

from libs.common import email_addresses, phone_numbers
from libs.common.domain import keywords, message_bodies, message_parts, rate_windows
from libs.common.domain.frequency import parse_cap
from libs.common.domain.states import ReplyKind
from libs.common.domain.wall_clock import parse_quiet_hours
from libs.common.messaging.addresses import addresses
from libs.common.settings.names import PREFIX

NO_POSTGRES_URL = (
    "not a PostgreSQL URL, such as postgresql://user:password@host/broadsheet "
    "(in a password, % is written %25, / is %2F, @ is %40)"
)

SHORTEST_SECRET = 16  # characters

NO_AMQP_URL = "not an AMQP URL, such as amqp://user:password@host/, or several with commas between them"


def known_zone(name: str) -> str:
    """Return the name. Raise ValueError if it is no time zone."""
    if name not in available_timezones():
        raise ValueError("not a time zone of the IANA database, such as America/Detroit")
    return name


def quiet_hours_or_none(text: str) -> str:
    """Return the hours, or nothing for `off`."""
    if text.strip().lower() == "off":
        return ""
    parse_quiet_hours(text)
    return text


def cap_or_none(text: str) -> str:
    """Return the frequency cap, or nothing for `off`."""
    return "" if text.strip().lower() in ("", "off") else str(parse_cap(text))


#: `scheme://user:password@host:port,host:port/database?option=value`. A password that holds `/` or `@` as it is ends
#: early, and its rest becomes a port, a host or a database.
_POSTGRES_URL = re.compile(
    r"postgres(?:ql)?://(?:(?:[^@/?#%\s]|%[0-9A-Fa-f]{2})*@)?(?P<hosts>[^@/?#%\s]*)(?:/[^@/?#\s]*)?(?:\?(?P<options>[^#\s]*))?"
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>\d{1,5}))?")
#: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS, as far as the driver knows them.
_OPTIONS = frozenset(
    ("host", "port", "dbname", "user", "password", "passfile", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl",
     "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "application_name",
     "options", "krbsrvname", "gsslib")
)  # fmt: skip


def postgres_url(url: str) -> str:
    """Return the URL. Raise ValueError, without the URL in it, if the driver could not read it."""
    found = _POSTGRES_URL.fullmatch(url) if url.isprintable() else None
    if found is None or not _percent_escapes_are_text(url):
        raise ValueError(NO_POSTGRES_URL)
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    if not all(host and (host["port"] is None or 0 < int(host["port"]) <= 65_535) for host in hosts):
        raise ValueError(NO_POSTGRES_URL)
    if not {name for name, _ in parse_qsl(found["options"] or "", keep_blank_values=True)} <= _OPTIONS:
        raise ValueError(NO_POSTGRES_URL)
    return url


def _percent_escapes_are_text(url: str) -> bool:
    try:
        unquote(url, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def http_url(url: str) -> str:
    """Return the URL without a slash at its end. Raise ValueError, without the URL in it, if nothing can be there."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http:// or https:// URL")
    if not url.isprintable() or " " in url:
        raise ValueError("has a character that no address has, a blank or one that cannot be seen")
    try:
        named = httpx.URL(url).host
    except httpx.InvalidURL:
        named = ""
    if not named:
        raise ValueError("not an http:// or https:// URL: its host or its port is none")
    return url.rstrip("/")


def host(name: str) -> str:
    """Return the name of what to listen on. Raise ValueError if it can be neither a name nor an IP address."""
    if not re.fullmatch(r"[0-9A-Za-z.:_%\[\]-]*", name):
        raise ValueError("neither the name of a host nor an IP address")
    return name


def amqp_url(url: str) -> str:
    """Return the nodes' URLs as they are. Raise ValueError, without a URL in it, if one cannot be read."""
    try:
        if not url.isprintable() or any(" " in each.strip() for each in url.split(",")):
            raise ValueError(NO_AMQP_URL)
        addresses(url)
    except ValueError:  # what could not be read may be a password, and the parser quotes it
        raise ValueError(NO_AMQP_URL) from None
    return url


def secret(check: Callable[[str], str]) -> AfterValidator:
    """Return a check of a secret's value."""

    def checked(secret: SecretStr) -> SecretStr:
        return SecretStr(check(secret.get_secret_value()))

    return AfterValidator(checked)


def long_or_empty(value: SecretStr) -> SecretStr:
    """Return a secret of 16 characters or more, or an empty one. Raise ValueError."""
    if 0 < len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"has fewer than {SHORTEST_SECRET} characters")
    return value


def plain(value: object) -> str:
    """Return what a setting says, a secret's value too."""
    if isinstance(value, tuple):
        return ",".join(map(plain, value))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach what listens on `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def split_commas(text: Any) -> Any:
    """Return the parts of a comma-separated text; what is no text stays as it is."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def answer_or_empty(body: str) -> str:
    """Return the words of an answer, or nothing. Raise ValueError where they cannot leave, or do not name STOP."""
    if not body:
        return ""
    checked = message_bodies.checked(body)
    if not keywords.names_stop(checked):
        raise ValueError("does not say that STOP ends the texts")
    return checked


def no_own_words(kinds: tuple[ReplyKind, ...]) -> tuple[ReplyKind, ...]:
    """Return the kinds of messages. Raise ValueError for one that is no choice."""
    for kind in kinds:
        if kind in (ReplyKind.OWN_WORDS, ReplyKind.SHORT_CODE):
            raise ValueError(
                "only reaction, automatic and delivery_notice are a choice: a person's own words always do"
            )
    return kinds


def split_regions(text: Any) -> Any:
    """Return the regions of a comma-separated text; what is no text stays as it is."""
    return phone_numbers.regions(text) if isinstance(text, str) else text


def known_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the networks. Raise ValueError if one cannot be read."""
    for network in networks:
        ipaddress.ip_network(network)
    return networks


def known_price(text: str) -> str:
    """Return the price. Raise ValueError if it is no amount and currency."""
    message_parts.parse_price(text)
    return text


def issuer(text: str) -> str:
    """Return the issuer of an OpenID Connect provider, from its discovery address too."""
    url = text.strip().removesuffix("/.well-known/openid-configuration")
    if not url:
        return ""
    address = urlsplit(http_url(url))
    if address.scheme != "https" and not is_loopback(address.hostname or ""):
        raise ValueError("must be https://, or an address of this machine")
    return url


#: A source as Content-Security-Policy has it: nothing else may come into that header.
_FRAMER = re.compile(r"https://(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d{1,5})?")


def framers(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return who may frame something. Raise ValueError for what is no origin of https, or of this machine."""
    for origin in origins:
        address = urlsplit(origin)
        here = address.scheme == "http" and is_loopback(address.hostname or "")
        if not _FRAMER.fullmatch(f"https{origin.removeprefix('http')}" if here else origin):
            raise ValueError("not addresses such as https://mail.missiveapp.com, comma-separated")
    return origins


def mail_server(url: str) -> str:
    """Return the address of a mail server, or nothing. Raise ValueError, without the address in it."""
    try:
        address = urlsplit(url)
        fits = address.scheme in ("smtp", "smtps") and bool(address.hostname) and address.port != 0
        fits = fits and not address.path.strip("/") and url.isprintable() and _percent_escapes_are_text(url)
    except ValueError:  # a port or a host that is none
        fits = False
    if url and not fits:
        raise ValueError("not a mail server, such as smtp://user:password@mail.example.org:587, or smtps://")
    return url


def mailbox(address: str) -> str:
    """Return an e-mail address, with a name or without, or nothing."""
    if address:
        try:
            email_addresses.normalized(parseaddr(address)[1])
        except ValueError:
            raise ValueError("not an e-mail address, such as Broadsheet <texts@example.org>") from None
    return address


def account(sid: str) -> str:
    """Return the id of a Twilio account. Raise ValueError for that of an API key."""
    if sid.startswith("SK"):
        raise ValueError(f"that is an API key, which belongs into {PREFIX}TWILIO_API_KEY; the account's begins with AC")
    return sid


def api_key(sid: str) -> str:
    """Return the id of an API key of Twilio's, or nothing."""
    if sid and not sid.startswith("SK"):
        raise ValueError("not an API key of Twilio's, which begins with SK")
    return sid


def known_windows(text: str) -> str:
    """Return the windows. Raise ValueError if they cannot be read."""
    rate_windows.parse_windows(text)
    return text
