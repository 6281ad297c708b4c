"""Columns that tell who may be texted, and what is said in them.

A no is never passed over: what can be read neither as a yes nor as a no is a reason to reject its line, not a yes.
Words are read without case, accents, punctuation and surplus spaces, in English, Spanish and French.
"""

import re
import unicodedata
from enum import Enum
from functools import lru_cache

from libs.common.texts import gettext_noop as n_


class Polarity(Enum):
    """What a yes in a column means."""

    #: They want nothing: `opted_out`, `unsubscribed`, `do_not_text`.
    OUT = "out"
    #: They want messages: `subscribed`, `consent`.
    IN = "in"
    #: Neither: a word tells, as `unsubscribed` under `status`.
    STATUS = "status"


#: Parts of headings, whose letters and digits alone count.
_OTHER_WAYS = re.compile(r"mail|correo|courriel|newsletter|boletin|postal|fax")
_TEXTS = re.compile(r"sms|text|phone|mobile|movil|cell|telefono")
_STATUS = re.compile(
    r"^(sms|text|texting|contact|marketing|list|opt)*(status|estatus|statut)$|^(status|estado|statut)(de)?sms$"
)
_OUT = re.compile(
    r"(?<!ad)opt(s|ed|ing)?out|unsub|do(not|nt)(be)?(text|contact|sms|messag|call|disturb|send|use)"
    r"|^no(sms|texts?|texting|contact|messages|calls)$|(never|notto)(be)?(text|contact|sms|messag)|^(dnc|dnt|dnd)|suppress|black_?list|block(ed|list)"
    r"|^(stop|stopped|removed?|removeme|revoked|withdrawn|withdrew|excluded?|banned)(at|on|date)?$|stopsms|smsstop"
    r"|^(de|fecha(de)?)?baja$|dad[oa]debaja|^no(molestar|contactar|enviar|llamar|escribir)|desuscri"
    r"|desabonn|desinscri|nepas|refus|oppos"
)
_IN = re.compile(
    r"(?<!ad)opt(s|ed|ing)?in|subscrib|^(sms|text)?subscription(status|date)?$|consent|permission"
    r"|(ok|may|can|allowed?)(be)?(to|for)?(text|sms|contact)|(text|sms|contact)(s|ing|ed)?(ok|allowed|permitted)$"
    r"|^accept(s|ed|ing)?(sms|text|message|marketing)|^(wants?|receives?|gets?)(sms|text|message)"
    r"|^suscri|^inscri|abonn|acept|autori[sz]"
)
#: What is told about a yes, and is none itself.
_ABOUT = re.compile(
    r"(reason|source|method|keyword|notes?|comments?|url|link|origin|ip|ipaddress|id|key|name|lists?|type|plan|level)$"
)
LONGEST_HEADING = 80  # letters and digits that are looked at
LONGEST_CELL = 100  # characters; more than that is no yes and no no


def words(text: str, separator: str | None = None) -> frozenset[str]:
    """Return the words, or phrases, of a list."""
    return frozenset(part.strip() for part in text.split(separator) if part.strip())


_YES = words("true t yes y 1 1.0 x on si s oui o vrai verdadero checked ✓ ✔ ☑ ✅")
_NO = words("false f no n 0 0.0 off non faux falso unchecked ☐")
_NOTHING = words("- -- — null none nil na n/a nan nat undefined never nunca jamais") | {""}
_OUT_WORDS = words(
    """
    unsubscribed, unsubscribe, opted out, opt out, optout, optedout, opting out, out, stop, stopped, stopall, stop all,
    do not text, do not contact, do not call, do not message, do not disturb, dont text, dont contact, dnc, dnt, dnd,
    no texts, no text, no sms, no contact, no consent, not consented, not subscribed, not opted in, blocked,
    blacklisted, suppressed, removed, remove, remove me, revoked, withdrawn, withdrew, cancelled, canceled,
    cancel, left, quit, end, declined, refused, denied,
    baja, de baja, dado de baja, dada de baja, desuscrito, desuscrita, cancelado, cancelada, no contactar, no molestar,
    no enviar, rechazado, alto,
    desabonne, desabonnee, desinscrit, desinscrite, ne pas contacter, ne pas texter, ne pas appeler, refuse, refusee,
    arret
    """,
    ",",
)
#: Nobody writes these about anything else: they count in every column that is not about e-mail, and as a tag.
_PLAINLY_OUT = words(
    """
    unsubscribed, opted out, optedout, opt out, optout, do not text, do not contact, do not message, dont text,
    dont contact, stopall, stop all, dado de baja, dada de baja, no contactar, desabonne, desabonnee, ne pas contacter,
    ne pas texter
    """,
    ",",
)
#: A cell without any of these is none of them: every cell of a million lines is asked.
_HINT = re.compile("unsub|opt|text|contact|messag|stop|baja|bonn", re.IGNORECASE)
_IN_WORDS = words(
    """
    subscribed, subscriber, subscribe, active, opted in, opt in, optin, optedin, in, ok, okay, consented, confirmed,
    allowed, granted, permitted, agreed, accepted, current, enabled, start, can text, may text, double opt in,
    single opt in,
    suscrito, suscrita, activo, activa, alta, aceptado, aceptada,
    abonne, abonnee, inscrit, inscrite, actif, accepte, acceptee
    """,
    ",",
)

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic|fev|avr|mai|juin|juil|aout"
#: A day on which it was said; what MySQL writes for none is none.
_DATE = re.compile(
    r"(?!0000)\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ t].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([ ,].*)?"
    rf"|(\d{{1,2}}(st|nd|rd|th)?[ -])?(de )?({_MONTHS})[a-z]*[.]?[ -].*\d{{4}}.*"
)
_NO_DATE = re.compile(r"0000[-/.]0?0[-/.]0?0.*")


def polarity(heading: str) -> Polarity | None:
    """Return what a yes means under a heading (its letters and digits); None if it says nothing about consent."""
    heading = heading[:LONGEST_HEADING]
    if is_of_other_ways(heading):
        return None
    if _STATUS.search(heading):
        return Polarity.STATUS
    if _OUT.search(heading):
        return Polarity.OUT
    if _IN.search(heading) and not _ABOUT.search(heading):
        return Polarity.IN
    return None


def is_of_other_ways(heading: str) -> bool:
    """Whether a heading (its letters and digits) is about e-mail and the like, which say nothing about messages."""
    heading = heading[:LONGEST_HEADING]
    return bool(_OTHER_WAYS.search(heading)) and not _TEXTS.search(heading)


def is_plainly_no(cell: str) -> bool:
    """Whether a cell says that somebody wants no messages, whatever its column is called."""
    return len(cell) <= LONGEST_CELL and may_be_plainly_no(cell) and _words(cell) in _PLAINLY_OUT


def may_be_plainly_no(cell: str) -> bool:
    """Whether it is worth looking closer: False of what certainly holds no such words."""
    return _HINT.search(cell) is not None


def is_no(cell: str, column: Polarity) -> bool:
    """Whether a cell says that somebody wants no messages. Raise ValueError, without its words, if that is unclear."""
    said = _words(cell[: LONGEST_CELL + 1])
    if said in _NOTHING or _NO_DATE.fullmatch(said):
        if column is Polarity.IN:
            raise ValueError(n_("says nothing"))
        return False
    if said in _OUT_WORDS:
        return True
    if said in _IN_WORDS:
        return False
    if column is not Polarity.STATUS and len(cell) <= LONGEST_CELL:
        if said in _YES or _DATE.fullmatch(said):
            return column is Polarity.OUT
        if said in _NO:
            return column is Polarity.IN
    raise ValueError(n_("can be read neither as a yes nor as a no"))


@lru_cache(maxsize=4096)
def _words(cell: str) -> str:
    """Return what is said in a cell without what does not matter. The same is said in line after line."""
    decomposed = unicodedata.normalize("NFKD", cell).casefold()
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    bare = re.sub(r"[\u2018\u2019']", "", bare).strip(' \t\r\n.!"()[]\u200b\ufeff\u00a0')
    spaced = " ".join(bare.split())
    if spaced in _NOTHING or _DATE.fullmatch(spaced) or _NO_DATE.fullmatch(spaced):
        return spaced
    return " ".join(re.sub(r"[\s_-]+", " ", spaced).split())
