"""What the planner needs besides."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr, model_validator

from libs.common.settings import checks
from libs.common.settings.calendar import CalendarSettings
from libs.common.settings.fields import Form, HttpUrl
from libs.common.settings.names import PREFIX
from libs.common.settings.workers import WorkerSettings


class PlannerSettings(CalendarSettings, WorkerSettings):
    """What the planner needs besides: it tells people of what happened."""

    public_url: HttpUrl = "http://127.0.0.1:8000"
    """Where people reach the desk: notices lead there."""

    smtp_url: Annotated[SecretStr, checks.secret(checks.mail_server)] = SecretStr("")
    """The mail server that takes notices: `smtp://user:password@host:587`, where TLS begins after the greeting, or
    `smtps://…`, where it is there from the start; only a server on this machine is written to without TLS. Empty if no
    notice goes by e-mail."""

    smtp_from: Annotated[str, AfterValidator(checks.mailbox), Form("e-mail address")] = ""
    """Whom notices by e-mail come from, such as `Broadsheet <texts@example.org>`, needed with the mail server."""

    missive_url: HttpUrl = "https://public.missiveapp.com"
    """Missive's API."""

    missive_token: SecretStr = SecretStr("")
    """Missive's API token, needed where notices are to be posts in Missive."""

    @model_validator(mode="after")
    def _letters_have_a_sender(self) -> "PlannerSettings":
        if checks.plain(self.smtp_url) and not self.smtp_from:
            raise ValueError(f"{PREFIX}SMTP_FROM is not set, and {PREFIX}SMTP_URL is")
        return self
