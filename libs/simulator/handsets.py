"""What the people behind the numbers do. Pure: a number does the same whoever messages it, when, and in which order.

Keywords are Twilio's defaults (https://support.twilio.com/hc/en-us/articles/223134027): the whole message, upper or
lower case, white space around it aside. "Stop." with its full stop is none to Twilio, yet people write it, and so
handsets do.
"""

import hashlib

from libs.simulator.config import Behaviour, Plan, Range

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})

STOPS: tuple[str, ...] = ("STOP", "stop", " stop ", "Stop", "Stop.", "STOP\n")
REPLIES: tuple[str, ...] = (
    "Yes please, tell me more",
    "Who is this?",
    "Don't stop, I love these 😀",
    "don't stop",
    'My landlord said "move out by Friday" — what can I do?',
    "¿Hablan español? Mi casero no arregla la calefacción",
    "Sí, necesito ayuda con la renta",
    "Can you restart my subscription to the paper?",
    "👍🏽",
    "It's O'Brien; cost me $$$ \\ 100%",
    "Nobody picks up at 211.\nWhat now?",
    "please stop by the office, I'm there till 5",
    "no",
)
UNREACHABLE_CODES = (30003, 30005, 30006)


def draw(seed: int, *of: object) -> float:
    """Draw from [0, 1): the same for the same seed and subject."""
    digest = hashlib.blake2b(repr((seed, *of)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def draw_between(bounds: Range, seed: int, *of: object) -> float:
    """Draw from a range."""
    return bounds[0] + (bounds[1] - bounds[0]) * draw(seed, *of)


def behaviour(plan: Plan, number: str) -> Behaviour:
    """Return what the handset behind a number does."""
    if number in plan.numbers:
        return plan.numbers[number]
    place = draw(plan.seed, "behaviour", number)
    shares: tuple[tuple[Behaviour, float], ...] = (
        ("reply", plan.reply),
        ("stop", plan.stop),
        ("unreachable", plan.unreachable),
        ("invalid", plan.invalid),
        ("landline", plan.landline),
    )
    for kind, share in shares:
        if place < share:
            return kind
        place -= share
    return "silent"


def reply_body(plan: Plan, number: str) -> str | None:
    """Return what a handset texts back; None if it says nothing."""
    bodies = {"reply": REPLIES, "stop": STOPS}.get(behaviour(plan, number))
    return None if bodies is None else bodies[int(draw(plan.seed, "body", number) * len(bodies))]


def delivery_error(plan: Plan, number: str) -> int | None:
    """Return the code with which a message to a number ends; None if it arrives."""
    match behaviour(plan, number):
        case "unreachable":
            return UNREACHABLE_CODES[int(draw(plan.seed, "code", number) * len(UNREACHABLE_CODES))]
        case "landline" | "invalid":
            return 30006
        case _:
            return None


def keyword(body: str) -> str | None:
    """Return whether Twilio takes a message for `stop` or `start`; None if for neither."""
    word = body.strip().upper()
    if word in STOP_WORDS:
        return "stop"
    return "start" if word in START_WORDS else None


_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("^{}\\[~]|€\f")


def segments(body: str) -> int:
    """Count the parts that a message is sent in (https://www.twilio.com/docs/glossary/what-sms-character-limit)."""
    if set(body) <= _GSM | _GSM_EXTENDED:
        length, whole, part = len(body) + sum(character in _GSM_EXTENDED for character in body), 160, 153
    else:
        length, whole, part = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= whole else -(-length // part)
