"""What sender and twilio_sync, which talk to the carriers, need besides."""

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from libs.common.settings import checks
from libs.common.settings.fields import SECONDS, Form, HttpUrl, Unit
from libs.common.settings.names import PREFIX
from libs.common.settings.workers import WorkerSettings


class CarrierSettings(WorkerSettings):
    """What sender and twilio_sync, which talk to the carriers, need besides."""

    missive_url: HttpUrl = "https://public.missiveapp.com"
    """Missive's API."""

    missive_token: SecretStr = SecretStr("")
    """Missive's API token, needed where Missive is the carrier, of all numbers or of some."""

    missive_organization: str = ""
    """The id of your organisation in Missive, needed with labels: Settings > API > Resource IDs."""

    missive_labels: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.split_commas)] = ()
    """Labels that each message gets in Missive, by their ids (Settings > API > Resource IDs), comma-separated."""

    missive_labels_as_tags: Annotated[tuple[str, ...], NoDecode, BeforeValidator(checks.split_commas)] = ()
    """Labels of Missive's that are tags of the people in the labelled conversations, by name, comma-separated; `*` for
    every label. Empty if labels are no tags."""

    twilio_url: HttpUrl = "https://api.twilio.com"
    """Twilio's API."""

    twilio_account_sid: Annotated[str, AfterValidator(checks.account)] = ""
    """Twilio's account, needed with either carrier."""

    twilio_auth_token: SecretStr = SecretStr("")
    """The account's auth token, needed with either carrier unless there is an API key."""

    twilio_api_key: Annotated[str, AfterValidator(checks.api_key), Form("SK…")] = ""
    """An API key of the account, by which Twilio is asked in place of the auth token: it can be taken back alone."""

    twilio_api_key_secret: SecretStr = SecretStr("")
    """The API key's secret."""

    public_url: HttpUrl = "http://127.0.0.1:8000"
    """Where the carriers reach the API, exactly as they call it: Twilio signs the whole address."""

    handover_after: Annotated[float, Field(gt=0, le=86_400), SECONDS] = 600.0
    """After which a message that Missive took, and of which Twilio has nothing, counts as not handed over."""

    send_concurrency: Annotated[int, Field(ge=1, le=1000), Unit("requests")] = 5
    """Requests under way at once, over all senders together."""

    @model_validator(mode="after")
    def _carrier_has_its_keys(self) -> "CarrierSettings":
        # Twilio's keys are needed with either carrier: its log shows what became of the messages.
        needed = {"twilio_account_sid": self.twilio_account_sid}
        key, secret = self.twilio_api_key, checks.plain(self.twilio_api_key_secret)
        if key or secret:
            needed |= {"twilio_api_key": key, "twilio_api_key_secret": secret}
        else:
            needed["twilio_auth_token"] = checks.plain(self.twilio_auth_token)
        if self.carrier == "missive":
            needed["missive_token"] = checks.plain(self.missive_token)
        if self.missive_labels:
            needed["missive_organization"] = self.missive_organization
        if self.missive_labels_as_tags:
            needed["missive_token"] = checks.plain(self.missive_token)
        for name, value in needed.items():
            if not value:
                raise ValueError(f"{PREFIX}{name.upper()} is not set")
        return self

    @property
    def uses_missive(self) -> bool:
        """Whether messages may go through Missive: the settings' carrier, or that of some numbers."""
        return self.carrier == "missive" or bool(checks.plain(self.missive_token))

    @cached_property
    def twilio_key(self) -> tuple[str, str] | None:
        """The API key and its secret; None where the auth token serves."""
        return (self.twilio_api_key, checks.plain(self.twilio_api_key_secret)) if self.twilio_api_key else None
