"""What the form of a broadcast lacks, in words, by its fields. Pure."""

import re

from libs.common.catalogue import gettext as _
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import wishes
from services.api.desk import faults
from services.api.http.errors import InvalidFields

#: The field of the form that a field of a broadcast is typed in, and what people call it.
FIELDS = {
    "run_at": ("day", n_("The time")),
    "first_message": ("first_message", n_("The first message")),
    "second_message": ("second_message", n_("The follow-up")),
    "from_number": ("from_number", n_("The number")),
    "pool": ("pool", n_("The further numbers")),
    "segments": ("segments", n_("The audience")),
    "file": ("file", n_("The file")),
    "recurring": ("file", n_("That it goes out again")),
    "max_recipients": ("recipients", n_("The most people")),
    "label": ("label", n_("The label")),
    "exclude": ("exclude", n_("The group that is left out")),
    "fallback": ("fallback", n_("The group that fills up")),
    "frequency_cap": ("cap_texts", n_("The limit of texts")),
    "week": ("week", n_("The week")),
    "to": ("test_to", n_("The number")),
}

#: What is wrong with what is chosen from a list: it was taken off while the form was open.
CHOSEN = {
    "segment_id": n_("A group that was ticked is not there any more. Look whether the others are right."),
    "from_number": n_("This is none of our numbers any more. Choose another one."),
    "pool": n_("A number that was ticked is none of ours any more. Look whether the others are right."),
}


def in_words(error: InvalidFields) -> dict[str, str]:
    """Return what a broadcast's fields lack, by the field of the form."""
    found = {}
    for name, reason in error.fields:
        field, what = FIELDS[re.split(r"[.\[]", name, maxsplit=1)[0]]
        chosen = None if reason == wishes.TWICE else CHOSEN.get(re.sub(r"\[\d+\]$", "", name).rpartition(".")[2])
        found[field] = _(chosen) if chosen else faults.of(_(what), reason)
    return found
