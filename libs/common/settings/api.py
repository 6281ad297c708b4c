"""What the API needs besides."""

from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from libs.common.domain import message_parts
from libs.common.domain.message_parts import Price
from libs.common.settings import checks
from libs.common.settings.calendar import CalendarSettings
from libs.common.settings.fields import Form, HttpUrl, Port, Unit
from libs.common.settings.names import DEVELOPMENT_ONLY, PREFIX


class ApiSettings(CalendarSettings):
    """What the API needs besides."""

    api_host: Annotated[str, AfterValidator(checks.host)] = "127.0.0.1"
    """The address that the API listens on. The image has `0.0.0.0`, and compose publishes the port on loopback."""

    api_port: Port = 8000
    """The port that the API listens on."""

    proxies: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(checks.split_commas), AfterValidator(checks.known_networks)
    ] = (
        "127.0.0.0/8",
        "::1",
    )
    """Networks of the proxies in front of the API, comma-separated: what they say of whom they ask for
    (`X-Forwarded-For`) is believed, and attempts to sign in are counted by it."""

    api_workers: Annotated[int, Field(ge=1, le=64), Unit("processes")] = 1
    """Processes of the API behind its port. One takes some hundreds of replies a second, two almost twice as many."""

    api_keys: Annotated[
        tuple[Annotated[SecretStr, Field(min_length=16)], ...],
        NoDecode,
        BeforeValidator(checks.split_commas),
        Field(min_length=1),
    ]
    """Any of these, comma-separated, opens the API with every right but approving. Each has 16 characters or more:
    `openssl rand -hex 32`. Programs get keys of their own with `broadsheet keys create`."""

    regions: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.split_regions), Field(min_length=1)] = ("US",)
    """The countries whose numbers are imported, by ISO code, comma-separated; others are refused by name. A number
    without a country code is read as one of the first. `US` has its territories with it."""

    part_price: Annotated[str, AfterValidator(checks.known_price), Form("amount and currency")] = ""
    """What the carriers ask for one part of a message, such as `0.0083 USD`: the desk says what a broadcast costs.
    Empty if it is to say nothing."""

    consent_hash_key: Annotated[SecretStr, AfterValidator(checks.long_or_empty)] = SecretStr("")
    """The key by which numbers are hashed in an export of the consent register that has none (HMAC-SHA256): 16
    characters or more, `openssl rand -hex 32`. Empty if there is no such export. With another key the same number has
    another hash."""

    organisation: Annotated[str, Field(min_length=1, max_length=60)] = "Broadsheet"
    """The name at the top of every page of the desk."""

    public_url: HttpUrl = "http://127.0.0.1:8000"
    """Where the carriers reach the API, exactly as they call it: Twilio signs the whole address."""

    oidc_issuer: Annotated[str, AfterValidator(checks.issuer), Form("URL")] = ""
    """An OpenID Connect provider at which people sign in to the desk, by its issuer or its discovery address, such as
    `https://accounts.google.com`; empty for none. A user is who has the verified e-mail address. The provider is to be
    told the address `<PUBLIC_URL>/desk/sign-in/provider/callback`."""

    oidc_client_id: str = ""
    """The id by which the provider knows Broadsheet, needed with the issuer."""

    oidc_client_secret: SecretStr = SecretStr("")
    """The secret that goes with it."""

    oidc_trust_email: bool = False
    """Whether an address counts as verified that the provider says nothing of. Only for a provider whose every account
    is your organisation's, such as a tenant of your own at Microsoft."""

    frame_ancestors: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(checks.split_commas), AfterValidator(checks.framers)
    ] = ()
    """Who may show the desk's sidebar (`/desk/sidebar`) in a frame, comma-separated: `https://mail.missiveapp.com` for
    Missive. Needs a PUBLIC_URL with https. Empty if nobody may."""

    carrier: Literal["missive", "twilio"] = "missive"
    """Who messages go through. Twilio's log is read with either."""

    keyword_answers: Literal["carrier", "broadsheet"] = "carrier"
    """Who answers HELP, and confirms a START. Twilio does by itself, with either carrier, so `broadsheet` is right only
    once Twilio's own handling is off for all our numbers: else people get two answers (docs/consent.md)."""

    help_answer: Annotated[str, AfterValidator(checks.answer_or_empty)] = ""
    """What is answered to HELP and INFO where we do. It names the organisation, how to reach it, and STOP. Empty for a
    plain one with the organisation's name."""

    start_answer: Annotated[str, AfterValidator(checks.answer_or_empty)] = ""
    """What is answered to START after a STOP where we do; it names STOP. Empty for a plain one."""

    missive_webhook_secret: SecretStr = SecretStr("")
    """The validation secret of Missive's rule. Without it no webhook of Missive's is taken."""

    missive_labels_as_tags: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.split_commas)] = ()
    """Labels of Missive's that are tags of the people in the labelled conversations, by name, comma-separated; `*` for
    every label. Empty if labels are no tags."""

    twilio_account_sid: Annotated[str, AfterValidator(checks.account)] = ""
    """Twilio's account, needed with the auth token: no webhook of another account's is taken."""

    twilio_auth_token: SecretStr = SecretStr("")
    """The account's auth token, by which Twilio signs, whatever API keys there are. Without it no webhook of Twilio's
    is taken."""

    @property
    def answer_to_help(self) -> str:
        """What is answered to HELP, where we answer."""
        return self.help_answer or f"{self.organisation}: you get texts from us. Reply STOP to get no more."

    @property
    def answer_to_start(self) -> str:
        """What is answered to START after a STOP, where we answer."""
        return self.start_answer or f"{self.organisation}: you get our texts again. Reply STOP to get no more."

    @cached_property
    def price(self) -> Price | None:
        """What one part of a message costs; None where nobody has said."""
        return message_parts.parse_price(self.part_price)

    @cached_property
    def is_public(self) -> bool:
        """Whether browsers reach the desk over TLS: cookies then go over nothing else."""
        return self.public_url.startswith("https://")

    @model_validator(mode="after")
    def _a_cookie_in_a_frame_is_secure(self) -> "ApiSettings":
        # Browsers take cookies in a frame of another site over TLS alone; on this machine they do without.
        is_here = checks.is_loopback(urlsplit(self.public_url).hostname or "")
        if self.frame_ancestors and not (self.is_public or is_here):
            raise ValueError(f"{PREFIX}PUBLIC_URL must be https, since {PREFIX}FRAME_ANCESTORS is set")
        return self

    @model_validator(mode="after")
    def _the_provider_knows_us(self) -> "ApiSettings":
        if self.oidc_issuer:
            for name in ("oidc_client_id", "oidc_client_secret"):
                if not checks.plain(getattr(self, name)):
                    raise ValueError(f"{PREFIX}{name.upper()} is not set, and {PREFIX}OIDC_ISSUER is")
        return self

    @model_validator(mode="after")
    def _twilios_account_is_known(self) -> "ApiSettings":
        # Without it every webhook of Twilio's would be refused, STOP included.
        if self.twilio_auth_token.get_secret_value() and not self.twilio_account_sid:
            raise ValueError(f"{PREFIX}TWILIO_ACCOUNT_SID is not set, and {PREFIX}TWILIO_AUTH_TOKEN is")
        return self

    @model_validator(mode="after")
    def _who_knows_the_worlds_key_is_on_this_machine(self) -> "ApiSettings":
        if DEVELOPMENT_ONLY in checks.plain(self.api_keys) and not checks.is_loopback(self.api_host):
            raise ValueError(
                f"{PREFIX}API_KEYS is the key of deploy/simulated, which the world knows, and {PREFIX}API_HOST is not "
                "an address of this machine alone: draw a key of your own (openssl rand -hex 32)"
            )
        return self
