"""The simulator's configuration: what it is, and how a part of it is put over the whole."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

ENVIRONMENT_PREFIX = "SIMULATOR_"
#: The keys under which a patch is merged, not replaced.
NESTED = ("plan", "limits", "clocks")

Behaviour = Literal["reply", "stop", "unreachable", "invalid", "landline", "silent"]
Range = tuple[float, float]


class Plan(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What the numbers do, and when. Shares are of all numbers, delays are seconds."""

    seed: int = 1
    reply: float = 0.2
    stop: float = 0.03
    unreachable: float = 0.03
    invalid: float = 0.02
    landline: float = 0.0
    #: The share of messages that Missive takes and never hands over.
    never_handed_over: float = 0.0
    hand_over_delay: Range = (0.2, 1.0)
    #: From the hand-over to the last status.
    delivery_delay: Range = (0.5, 3.0)
    #: From the delivery on.
    reply_delay: Range = (5.0, 60.0)
    reply_via: Literal["missive", "twilio", "both"] = "both"
    #: A handset that replied replies again after so many seconds without a message.
    conversation_gap: float = 21600.0
    numbers: dict[str, Behaviour] = {}


class Limits(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What Missive allows, as it publishes it (https://missiveapp.com/docs/developers/rest-api/rate-limits)."""

    concurrent: int = 5
    windows: tuple[tuple[int, float], ...] = ((300, 60.0), (900, 900.0))
    #: Twilio limits requests at once by account, without a published number: none here unless asked for.
    twilio_concurrent: int = 0


class Skew(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How wrong a clock is: seconds ahead (behind, if negative), and how many more with each second from then on."""

    offset: float = 0.0
    drift: float = 0.0


class Clocks(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The carriers' clocks."""

    missive: Skew = Skew()
    twilio: Skew = Skew()


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Everything that can be set. The meaning of each key stands in `libs.simulator.app`."""

    missive_token: str = ""
    missive_webhook_url: str = ""
    missive_webhook_secret: str = ""
    missive_rule_type: str = "incoming_sms_message"
    missive_labels: dict[str, str] = {}  # shared labels: their names by their ids
    missive_preview: int = 100  # characters of a reply that the rule's webhook holds
    twilio_account_sid: str = "AC" + "0" * 32
    twilio_auth_token: str = ""
    twilio_api_key: str = ""
    twilio_api_key_secret: str = ""
    twilio_sms_webhook_url: str = ""
    twilio_status_callback_url: str = ""
    from_numbers: tuple[str, ...] = ()
    messaging_services: dict[str, tuple[str, ...]] = {}  # the numbers of each, by its SID
    equal_by_design: tuple[str, ...] = ()
    webhook_attempts: int = 5
    webhook_backoff: float = 0.5  # seconds, doubled after each attempt
    webhook_timeout: float = 15.0  # seconds
    limits: Limits = Limits()
    clocks: Clocks = Clocks()
    plan: Plan = Plan()

    def owns(self, number: str) -> bool:
        """Return whether a number is the account's, so that messages may go out from it."""
        return is_phone_number(number) and (not self.from_numbers or number in self.from_numbers)

    def service_of(self, number: str) -> str | None:
        """Return the Messaging Service that a number is of; None if it is of none."""
        return next((sid for sid, numbers in self.messaging_services.items() if number in numbers), None)

    def __post_init__(self) -> None:
        shares = self.plan.reply + self.plan.stop + self.plan.unreachable + self.plan.invalid + self.plan.landline
        if shares > 1 + 1e-9:
            raise ValueError("the plan's shares come to more than 1")
        for delay in (self.plan.hand_over_delay, self.plan.delivery_delay, self.plan.reply_delay):
            if not 0 <= delay[0] <= delay[1]:
                raise ValueError("a delay is [shortest, longest] in seconds")


def merged(config: Config, patch: Mapping[str, Any]) -> Config:
    """Return the configuration with a part of it replaced. Raise msgspec.ValidationError."""
    whole: dict[str, Any] = msgspec.to_builtins(config)
    for key, value in patch.items():
        nested = key in NESTED and isinstance(value, Mapping)
        whole[key] = {**whole[key], **value} if nested else value
    return msgspec.convert(whole, Config)


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration from a file and the environment. Raise msgspec.MsgspecError."""
    config = Config()
    if path is not None:
        config = merged(config, msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    return merged(config, _from_environment(environment))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for field in msgspec.structs.fields(Config):
        value = environment.get(ENVIRONMENT_PREFIX + field.name.upper())
        if value is not None:
            patch[field.name] = value if field.type is str else msgspec.json.decode(value)
    return patch


def is_phone_number(value: object) -> bool:
    """Return whether a value is a plus and digits only, as both carriers want it."""
    return isinstance(value, str) and re.fullmatch(r"\+[1-9][0-9]{6,14}", value, re.ASCII) is not None
