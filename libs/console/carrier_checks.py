"""What `broadsheet doctor` asks the carriers, and what they will say of the address that they are given."""

import ipaddress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx

from libs.common import carriers
from libs.common.carriers import answers
from libs.common.carriers.clocks import Meter, Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.settings import CarrierSettings

Found = tuple[str, bool, str]

#: Names that no machine of the carriers' can look up (RFC 2606, RFC 6762, RFC 8375).
PRIVATE_NAMES = ("localhost", "local", "internal", "test", "example", "invalid", "lan", "home.arpa")
REAL_TWILIO = ".twilio.com"
REAL_MISSIVE = ".missiveapp.com"


async def twilio(settings: CarrierSettings) -> Found:
    """Return whether Twilio's log can be read."""
    client = carriers.create_twilio(settings)
    try:
        since = datetime.now(UTC) - timedelta(minutes=1)
        await client.messages(from_number=settings.from_number, since=since, page_size=1)
    except CarrierUnreadable as error:
        which = "_API_KEY and _API_KEY_SECRET" if settings.twilio_key else "_AUTH_TOKEN"
        return "Twilio", False, f"{error}: look at BROADSHEET_TWILIO_ACCOUNT_SID, {which}"
    else:
        said = f"the log can be read by the {'API key' if settings.twilio_key else 'auth token'}"
        return clocked("Twilio", said, client.meter.take())
    finally:
        await client.aclose()


async def twilio_signatures(settings: CarrierSettings) -> Found:
    """Return whether webhooks of Twilio's can be believed: it signs with the auth token, whatever keys there are."""
    name = "Twilio's signatures"
    if settings.twilio_key is None:
        return name, True, "checked by the auth token"
    if not settings.twilio_auth_token.get_secret_value():
        if settings.carrier == "missive":
            return name, True, "no auth token, so no webhook of Twilio's is taken; replies come by Missive"
        return name, False, "no webhook of Twilio's is taken: API keys sign none; set BROADSHEET_TWILIO_AUTH_TOKEN"
    client = carriers.create_twilio(settings, by_api_key=False)
    try:
        await client.has_number(settings.from_number)
    except CarrierUnreadable as error:
        return name, False, f"{error}: whether BROADSHEET_TWILIO_AUTH_TOKEN is the account's is not known"
    finally:
        await client.aclose()
    return name, True, "the auth token is the account's"


async def numbers(settings: CarrierSettings) -> Found:
    """Return whether the numbers that the settings call ours are the Twilio account's."""
    client = carriers.create_twilio(settings)
    try:
        strange = [number for number in settings.own_numbers if not await client.has_number(number)]
    except CarrierUnreadable as error:
        return "our numbers", False, f"{error}: whether they are the account's is not known"
    finally:
        await client.aclose()
    if strange:
        what = f"{', '.join(strange)}: not the Twilio account's"
        return "our numbers", False, f"{what}; correct BROADSHEET_FROM_NUMBER or BROADSHEET_NUMBERS"
    return "our numbers", True, ", ".join(settings.own_numbers)


async def missive(settings: CarrierSettings) -> Found:
    """Return whether Missive accepts the token: it does where it says which organizations the token is of."""
    if not settings.uses_missive:
        return "Missive", True, "not used"
    headers = {"Authorization": f"Bearer {settings.missive_token.get_secret_value()}"}
    meter = Meter()
    async with httpx.AsyncClient(timeout=10) as client:
        try:
            asked_at = meter.now()
            answer = await client.get(f"{settings.missive_url}/v1/organizations", headers=headers)
            meter.note(answer.headers, asked_at)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return "Missive", False, f"{type(error).__name__}: look at BROADSHEET_MISSIVE_URL"
    said = answers.json_object(answer)
    if answer.status_code == httpx.codes.OK and isinstance((said or {}).get("organizations"), list):
        return clocked("Missive", "the token is accepted", meter.take())
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN) and said is not None:
        return "Missive", False, "the token is not accepted: look at BROADSHEET_MISSIVE_TOKEN"
    what = f"{settings.missive_url} answers {answer.status_code}, and not as Missive does"
    return "Missive", False, f"{what}: look at BROADSHEET_MISSIVE_URL, or at what stands between"


def clocked(carrier: str, well: str, offset: Offset | None) -> Found:
    """Return the finding for a carrier that answers well, with how far its clock is ahead of this machine's."""
    if offset is None:
        return carrier, False, f"{well}, but its answers do not tell its time: no lost message is settled as not sent"
    seconds, more = offset.middle.total_seconds(), (offset.high - offset.middle).total_seconds()
    ahead = f"its clock is {abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} ours (± {more:.1f} s)"
    if offset.is_far:
        return carrier, False, f"{well}, but {ahead}: set this machine's by NTP; no lost message is settled as not sent"
    return carrier, True, f"{well}; {ahead}"


async def public_url(settings: CarrierSettings) -> Found:
    """Return what the carriers will say of `PUBLIC_URL`."""
    url = settings.public_url
    if not is_real(settings):
        return "public address", True, f"{url}, which simulated carriers call"
    trouble = unreachable(url)
    if trouble:
        if settings.carrier == "twilio":
            follows = "Twilio refuses every message with 21609, which pauses the broadcast"
        else:
            follows = "no webhook reaches it, so no reply and no STOP is heard"
        return "public address", False, f"{url}: {trouble}; {follows}. Mend BROADSHEET_PUBLIC_URL"
    if not url.startswith("https://"):
        return "public address", False, f"{url}: numbers and words would travel unencrypted; give it https"
    return "public address", True, url


def is_real(settings: CarrierSettings) -> bool:
    """Whether one of the carriers is the real one."""
    hosts = (urlsplit(settings.twilio_url).hostname or "", urlsplit(settings.missive_url).hostname or "")
    return hosts[0].endswith(REAL_TWILIO) or (settings.uses_missive and hosts[1].endswith(REAL_MISSIVE))


def unreachable(url: str) -> str:
    """Return why no carrier takes or reaches an address; empty if no reason is known."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "it cannot be read"
    if not host:
        return "it names no host"
    if parts.username is not None or parts.query or parts.fragment:
        return "it is to be scheme, host and path alone"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _bad_name(host)
    return "" if address.is_global else "it is an address of this machine, or of a network of its own"


def _bad_name(host: str) -> str:
    if "_" in host:
        return "a host's name has no underscore"
    if "." not in host or any(host == name or host.endswith(f".{name}") for name in PRIVATE_NAMES):
        return "it is a name that only this network knows"
    return ""
