"""What came in: a person's own words, or what a phone, a network or a company's machine made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.broadcasts.inbound import judge_words
from libs.common.domain import keywords
from libs.common.domain.keywords import Wish
from libs.common.domain.reply_kinds import classify
from libs.common.domain.states import CarrierWord, Channel, ReplyKind

#: Each with what it quotes in the place of `{}`.
TAPBACKS = (
    # Apple's, in English; removed again; of a picture.
    "Liked “{}”", "Loved “{}”", "Laughed at “{}”", "Emphasized “{}”", "Emphasised “{}”", "Questioned “{}”",
    "Disliked “{}”", 'Liked "{}"', "Reacted 👍 to “{}”", "Reacted with ❤️ to “{}”", "Removed a like from “{}”",
    "Removed a heart from “{}”", "Removed a laugh from “{}”", "Removed an exclamation from “{}”",
    "Removed a question mark from “{}”", "Removed a dislike from “{}”",
    # Google's.
    "👍 to “{}”", "\u200a\u200b👍\u200b to “\u200a{}\u200a”", "❤️ to “{}”", "‼️ to “{}”", 'Reacted 👍 to "{}"',
    "Removed 👍 from “{}”", "\u200a\u200b😂\u200b to “\u200a{}\u200a”",
    # In Spanish.
    "Le gustó “{}”", "Le encantó “{}”", "Le dio risa “{}”", "No le gustó “{}”", "Exclamó por “{}”", "Dudó sobre “{}”",
    "Le ha gustado «{}»", "Le ha encantado «{}»", "Se rió de “{}”", "Enfatizó “{}”", "Reaccionó con 👍 a “{}”",
    "👍 a “{}”", "Eliminó un me gusta de “{}”",
    # In French.
    "A aimé « {} »", "A adoré « {} »", "N’a pas aimé « {} »", "A ri de « {} »", "A mis en évidence « {} »",
    "A réagi avec 👍 à « {} »", "A réagi par 👍 à « {} »", "👍 à « {} »", "A supprimé un cœur de « {} »",
)  # fmt: skip

PICTURES = (
    "Liked an image", "Loved a photo", "Laughed at a video", "Emphasized an attachment", "Reacted 👍 to an image",
    "Removed a like from an image", "Le gustó una imagen", "Le encantó una foto", "A aimé une image",
)  # fmt: skip

AUTOMATIC = (
    "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get where I'm going.",
    "I’m driving with Focus turned on. I’ll see your message when I get where I’m going.",
    "(I’m not receiving notifications. If this is urgent, reply “urgent” to send a notification through.)",
    "I'm currently driving", "I am driving right now. I'll get back to you later.", "I’m driving",
    "Auto-reply: I am away until Monday.", "AUTOREPLY I will call you back", "Automatic reply: out of office",
    "Automated response: we are closed", "This is an automated message. Please do not answer.",
    "Out of office until 3 January. For news tips write to desk@example.org.", "I'm out of the office today.",
    "Sorry, this number is not monitored.",
    "Thank you for contacting Joe's Pizza! We will get back to you within 24 hours.",
    "Estoy conduciendo con la función No molestar al conducir activada. Veré tu mensaje cuando llegue a mi destino.",
    "Estoy manejando en este momento", "Respuesta automática: estoy fuera de la oficina",
    "Estoy fuera de la oficina hasta el lunes.", "Este es un mensaje automático.",
    "Je conduis avec la fonction Ne pas déranger en voiture activée. Je verrai votre message à mon arrivée.",
    "Réponse automatique : je suis absente du bureau", "Je suis absent du bureau jusqu’à lundi.", "Je suis au volant",
    "Ceci est un message automatique.",
)  # fmt: skip

DELIVERY = (
    "Free Msg: Unable to send message - Message Blocking is active.",
    "FREE MSG: Receiver 3135550142 unable to receive message - Message Blocking is active.",
    "Free T-Mobile Msg: Service access denied",
    "NETWORK MSG: the number you texted cannot take texts", "Message not delivered", "Message not sent.",
    "Your message was delivered", "Your message could not be delivered to +1 313 555 0142.", "Msg failed: try again",
    "Delivery receipt: 14:02", "Delivery Report\nTo: 3135550142", "Unable to deliver message",
    "Mensaje no entregado", "Su mensaje no pudo ser entregado", "No se pudo entregar el mensaje",
    "Message non remis", "Votre message n’a pas pu être remis.", "Accusé de réception",
)  # fmt: skip

OWN_WORDS = (
    "", "yes", "STOP", "Thanks!", "👍", "I liked that a lot", "Loved the video", "I like “Reply STOP to end”",
    "To “whom it may concern”: I need help.", "A “great” idea.", "“STOP”", 'I said "STOP"',
    "I'm driving to Lansing tomorrow for the hearing, can you come?", "My son was driving when it happened",
    "The message was clear: they want us out", "I got your message but the link is broken",
    "Your message was sent to my old phone, please use this one", "The office is closed. Automatic doors fail",
    "Thank you for your message", "Thanks for texting, my rent went up by $300",
    "Estoy manejando un caso parecido, ¿me ayudan?", "Le dije que no me gustó la respuesta",
    "Je conduis un bus depuis dix ans", "J’ai aimé votre article", "The office is out of forms",
    "Message me later", "Can you deliver a message to the mayor?",
)  # fmt: skip


@pytest.mark.parametrize("message", [each.format("Hello from the desk. Reply STOP to end") for each in TAPBACKS])
def test_a_tapback_is_a_reaction_and_asks_for_nothing(message: str) -> None:
    verdict = judge_words(message, None, Channel.SMS, "+13135550142")
    assert (verdict.kind, verdict.wish, verdict.reason) == (ReplyKind.REACTION, None, None)


@given(st.sampled_from(TAPBACKS), st.sampled_from(["STOP", "Reply STOP to end", "unsubscribe me", "wrong number"]))
def test_whatever_a_tapback_quotes_is_nobodys_wish(tapback: str, quoted: str) -> None:
    verdict = judge_words(tapback.format(quoted), None, Channel.SMS, "+13135550142")
    assert (verdict.kind, verdict.wish, verdict.reason) == (ReplyKind.REACTION, None, None)


@pytest.mark.parametrize("message", PICTURES)
def test_so_is_a_reaction_to_a_picture(message: str) -> None:
    assert classify(message) is ReplyKind.REACTION


@pytest.mark.parametrize("message", AUTOMATIC)
def test_what_a_phone_answers_by_itself_is_automatic(message: str) -> None:
    assert classify(message) is ReplyKind.AUTOMATIC


@pytest.mark.parametrize("message", DELIVERY)
def test_what_a_network_says_of_delivery_is_a_notice(message: str) -> None:
    assert classify(message) is ReplyKind.DELIVERY_NOTICE


@pytest.mark.parametrize("message", OWN_WORDS)
def test_everything_else_is_a_persons_own_words(message: str) -> None:
    assert classify(message) is ReplyKind.OWN_WORDS


@pytest.mark.parametrize("sender", ["262966", "+40404", "811", "12345678"])
def test_a_short_code_is_a_machine_and_asks_for_nothing(sender: str) -> None:
    verdict = judge_words("Reply STOP to cancel", None, Channel.SMS, None, sender=sender)
    assert (verdict.kind, verdict.wish, verdict.reason) == (ReplyKind.SHORT_CODE, None, None)


@pytest.mark.parametrize("sender", ["12", "123456789", "Ana Diaz", None])
def test_other_senders_are_no_short_codes(sender: str | None) -> None:
    assert classify("Hello", sender=sender) is ReplyKind.OWN_WORDS


def test_what_the_carrier_took_for_a_stop_counts_whatever_kind_it_is() -> None:
    verdict = judge_words("Liked “STOP”", CarrierWord.STOP, Channel.SMS, "+13135550142")
    assert (verdict.kind, verdict.wish) == (ReplyKind.REACTION, Wish.STOP)


def test_an_automatic_answer_that_sounds_like_a_no_is_for_a_person_to_look_at() -> None:
    said = "Automatic reply: you have the wrong number"
    verdict = judge_words(said, None, Channel.SMS, "+13135550142")
    assert (verdict.kind, verdict.reason) == (ReplyKind.AUTOMATIC, keywords.Reason.WRONG_NUMBER)


def test_a_mail_is_not_told_apart() -> None:
    assert judge_words("Automatic reply: away", None, Channel.EMAIL, None).kind is ReplyKind.OWN_WORDS


@given(st.text(max_size=300), st.none() | st.text(max_size=12))
def test_any_text_has_a_kind(message: str, sender: str | None) -> None:
    assert classify(message, sender=sender) in ReplyKind


@given(st.text(max_size=100))
def test_a_firm_stop_is_always_a_persons_own(tail: str) -> None:
    if keywords.parse(f"STOP {tail}").wish is Wish.STOP:
        assert classify(f"STOP {tail}") is ReplyKind.OWN_WORDS
