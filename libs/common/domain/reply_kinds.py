"""What came in: a person's own words, or what a phone, a network or a company's machine made. Pure.

A person's own words are whatever is nothing else: a doubtful message counts as theirs. So what is looked for stands at
the beginning of a message, or is as long as nobody writes it by chance.
"""

import re

from libs.common.domain import keywords
from libs.common.domain.states import ReplyKind

#: Numbers of companies, as carriers write them: too short for a phone.
_SHORT_CODE = re.compile(r"\+?[0-9]{3,8}", re.ASCII)
#: How much of a message is looked at, in words.
MOST_WORDS = 60
#: Where a sentence, a line or a heading ends.
_END = re.compile(r"[.:;!?](?=\s|$)|\n|\s[-–—]\s")

#: What phones and answering machines say, wherever it stands. Words without accents, an apostrophe as a space.
_AUTOMATIC_ANYWHERE = re.compile(
    r"""
    \bi\sa?m\s(?:currently\s)?driving\swith\b | \bdo\snot\sdisturb\swhile\sdriving\b | \bdriving\sfocus\b
    | \breply\surgent\sto\ssend\sa\snotification\b | \bi\sa?m\snot\sreceiving\snotifications\b
    | \bthis\sis\san?\s(?:auto|automatic|automated)\s(?:reply|response|message|text)\b
    | \b(?:number|mailbox|inbox|line)\sis\snot\smonitored\b
    | \bno\smolestar\s(?:al\sconducir|al\smanejar|mientras\s(?:conduzco|manejo))\b
    | \b(?:estoy|voy)\s(?:conduciendo|manejando)\scon\b | \bno\s(?:estoy\srecibiendo|recibo)\snotificaciones\b
    | \beste?a?\ses\sun\s?a?\s(?:mensaje|respuesta)\sautomatic[oa]\b
    | \bne\spas\sderanger\sen\s(?:voiture|conduisant)\b | \bje\sconduis\s(?:avec|en\smode)\b
    | \bje\sne\srecois\spas\s(?:de|les)\snotifications\b
    | \bceci\sest\sun(?:e\sreponse|\smessage)\sautomatique\b
    """,
    re.VERBOSE,
)
#: What they begin with.
_AUTOMATIC_BEGINNING = re.compile(
    r"""
    auto\s?(?:reply|response|responder)\b | automat(?:ic|ed)\s(?:reply|response|message|text)\b
    | (?:i\sa?m\s)?(?:currently\s)?out\sof\s(?:the\s)?office\b
    | i\sa?m\s(?:driving|currently\sdriving|driving\s(?:right\s)?now)(?:\s(?:right\s)?now)?$
    | i\scan\st\stalk\s(?:right\s)?now\si\sa?m\sdriving$
    | (?:respuesta|mensaje|contestacion)\sautomatic[oa]\b | (?:estoy\s|me\sencuentro\s)?fuera\sde\s(?:la\s)?oficina\b
    | (?:estoy|voy)\s(?:conduciendo|manejando)(?:\s(?:ahora|en\seste\smomento))?$
    | (?:reponse|message)\sautomatique\b | (?:je\ssuis\s)?(?:actuellement\s)?absente?\sdu\sbureau\b
    | je\s(?:conduis|suis\sau\svolant|suis\sen\strain\sde\sconduire)(?:\sactuellement|\sen\sce\smoment)?$
    | than(?:ks|k\syou)\sfor\s(?:contacting|calling|texting|your\s(?:message|text|email))\s
      .*\b(?:we|as\ssoon\sas|hours)\b
    """,
    re.VERBOSE,
)
#: What a phone or a network says of a message that was sent to it: its first sentence.
_DELIVERY = re.compile(
    r"""
    free\s?(?:\w{1,8}\s){0,3}msg\b.* | (?:network|carrier)\s(?:msg|message)\b.*
    | (?:your\s|the\s)?(?:message|msg|text|sms|text\smessage)\s(?:to\s[\d\s]+\s)?
      (?:was|is|has|could|cannot|can|failed|not|delivered|delivery)\b
      (?:\s(?:been|be|not|to|was|is|successfully))*(?:\s(?:delivered|sent|received|deliver|failed|failure))?
      (?:\s(?:to|by|for)\s[\d\s]+)?
    | (?:sms\s)?delivery\s(?:report|receipt|notification|status|failed|failure)\b.* | read\sreceipt\b.*
    | (?:unable|failed)\sto\s(?:send|deliver)\s(?:your\s|the\s|this\s)?(?:message|msg|text|sms)
    | receiver\s[\d\s]+\sunable\sto\sreceive\smessage\b.* | message\sblocking\sis\sactive
    | service\saccess\sdenied | (?:the\s)?(?:number|person)\s(?:you\s(?:are\strying|tried|have\stried)\s.*)
    | (?:el\s|su\s|tu\s)?mensaje\s(?:no\s)?(?:se\s)?(?:ha\ssido\s|fue\s|ha\s|pudo\sser\s|pudo\s|ha\spodido\s)?
      (?:entregado|entregar|enviado|enviar|entregarse|enviarse)(?:\sa\s[\d\s]+)?
    | no\sse\s(?:pudo|ha\spodido)\s(?:entregar|enviar)\s(?:el|su|tu)\smensaje
    | (?:informe|acuse|confirmacion)\sde\s(?:entrega|recibo|lectura)\b.*
    | (?:le\s|votre\s)?(?:message|sms)\s(?:non\s(?:remis|distribue|delivre|envoye)|remis|delivre|distribue
      |n\s?a\s(?:pas\s)?(?:pu\setre|ete)\s(?:remis|distribue|delivre|envoye)
      |n\s?a\spas\s(?:pu\setre|ete)\s(?:remis|distribue|delivre|envoye))(?:\sa\s[\d\s]+)?
    | (?:accuse|rapport|avis)\sde\s(?:reception|remise|distribution|lecture)\b.*
    """,
    re.VERBOSE,
)


def is_short_code(sender: str) -> bool:
    """Whether who sent something is a company's number, which is too short for a phone."""
    return _SHORT_CODE.fullmatch(sender.strip()) is not None


def classify(body: str, *, sender: str | None = None) -> ReplyKind:
    """Return what a message is, by its words and by who sent it; `sender` is who, where that is no phone number."""
    if sender is not None and is_short_code(sender):
        return ReplyKind.SHORT_CODE
    if keywords.is_reaction(body):
        return ReplyKind.REACTION
    text = keywords.plain(body).strip()
    said = " ".join(keywords.words_of(text)[:MOST_WORDS])
    if _AUTOMATIC_ANYWHERE.search(said) or _AUTOMATIC_BEGINNING.match(said):
        return ReplyKind.AUTOMATIC
    first = " ".join(keywords.words_of(_END.split(text, maxsplit=1)[0])[:MOST_WORDS])
    if _AUTOMATIC_BEGINNING.match(first):
        return ReplyKind.AUTOMATIC
    if _DELIVERY.fullmatch(first):
        return ReplyKind.DELIVERY_NOTICE
    return ReplyKind.OWN_WORDS
