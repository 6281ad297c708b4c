"""Our own numbers, and what comes to them: what a person is to know of whether both work."""

from libs.common.texts import gettext_noop as n_

#: Who sends webhooks, and what they tell.
SOURCES = {
    "missive": n_("Missive (replies)"),
    "twilio_sms": n_("Twilio (replies)"),
    "twilio_status": n_("Twilio (delivery reports)"),
}
