"""The words and phrases that `keywords` looks for: without accents, in lower case, an apostrophe as a space.

A change here is a change of who is texted: each has an example in `tests/unit/common/domain/test_keywords.py`.
"""


def phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of a list that is separated by commas."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


#: Twilio's default keywords and what else means the same; what Spanish and what French speakers write.
STOP = phrases(
    """
    stop, stopall, stop all, unsubscribe, unsubscribe me, unsubscribe all, cancel, cancel all, end, end all, quit,
    revoke, optout, opt out, opt me out, remove, remove me,
    alto, parar, pare, baja, dar de baja, darme de baja, dame de baja, deme de baja, cancelar, detener, desuscribir,
    desuscribirme,
    arret, arrets, arrete, arreter, arretez, desabonner, desabonnement, desabonnez moi, desinscrire, desinscription,
    desinscrivez moi, stop sms
    """
)

#: YES, which Twilio also takes, is left out: it answers a newsroom's question more often than it asks for messages.
#: Nobody is opted in by a word inside a sentence, so these stand alone.
START = phrases("start, unstop")

#: Who asks what this is. Twilio's own words are the first two.
HELP = phrases("help, info, ayuda, aide")

#: A yes to a question of ours.
YES = phrases("yes, y, si, oui")

#: What may stand around a keyword without changing it.
COURTESIES = phrases(
    """
    please, pls, plz, plese, kindly, thanks, thank you, thx, ty, now, ok, okay, hi, hello, sir, por favor, porfa,
    gracias, ya, hola, merci, svp, s il vous plait, s il te plait, bonjour
    """
)

#: Slips of the finger, as a whole message.
ALMOST = phrases(
    """
    atop, cancle, canel, dtop, opout, optou, quti, sotp, sstop, st0p, stip, sto, stop1, stoped, stopp, stpo, sttop,
    tsop, unsub, unsubs, unsubcribe, unsubscibe, unsubscrib, unsubscribed, unsubsribe, unsuscribe
    """
)

#: What says stop and means nothing of the kind: a no to stopping, a place, a visit. Taken out before one looks for it.
HARMLESS = phrases(
    """
    don t stop, dont stop, do not stop, don t ever stop, dont ever stop, never stop, can t stop, cant stop, cannot
    stop, can not stop, non stop, bus stop, train stop, tram stop, metro stop, rest stop, pit stop, truck stop,
    traffic stop, last stop, next stop, one stop, full stop, short stop, stop by, stop sign, stop signs, stop light,
    stop lights, stop over, stop watch, stop and frisk
    """
)

#: Whoever wrote is not who we think.
WRONG_NUMBER = phrases(
    """
    wrong number, wrong person, wrong phone, wrong num, wrong nbr, not my number, you have the wrong, you got the
    wrong, numero equivocado, numero incorrecto, se equivoco de numero, persona equivocada, mauvais numero, trompe
    de numero, trompez de numero, erreur de numero
    """
)

#: Somebody wants off the list.
TAKE_ME_OFF = phrases(
    """
    take me off, take us off, take my number off, take this number off, take my name off, get me off, off your list,
    off the list, off this list, off of your list, off of this list, remove me, remove my, remove this number,
    remove us, delete my number, delete me, delete this number, lose my number, lose this number, forget my number,
    unsubscribe, opt out, optout, opt me out, opting out, quiteme, quitenme, quitame, saqueme, saquenme, sacame,
    borre mi, borren mi, borrame, eliminen mi, elimine mi, de baja, retirez moi, enlevez moi, supprimez mon,
    desabonne, desabonner, desabonnez, desinscrire, desinscrivez
    """
)

#: Somebody wants no more messages, or to be left alone.
NO_MORE = phrases(
    """
    no more texts, no more text, no more messages, no more msgs, no more sms, no more of, no more please, no more,
    don t text, dont text, do not text, don t contact, dont contact, do not contact, don t message, dont message, do
    not message, don t send, dont send, do not send, don t call, dont call, do not call, never text, never contact,
    quit texting, quit sending, quit messaging, leave me alone, leave us alone, not interested, no longer
    interested, go away, fuck off, piss off, spam, don t want these, dont want these, do not want these, don t want
    any, dont want any, no me escriba, no me escriban, no me escribas, no me mande, no me manden, no me mandes, no
    me envie, no me envien, no me texte, no me contacten, no me moleste, no me molesten, no mas mensajes, no mas, no
    quiero mas, no quiero mensajes, no quiero recibir, dejeme en paz, dejenme en paz, dejen de, deje de, basta, no
    me interesa, ne m ecrivez, ne m envoyez, ne me contactez, n envoyez plus, plus de messages, plus de message,
    plus de sms, plus de texto, laissez moi tranquille, pas interesse, pas interessee, ne plus recevoir
    """
)

#: A keyword among other words.
STOP_IN_A_SENTENCE = phrases(
    """
    stop, stopall, stopped texting, parar, paren, arret, arrete, arreter, arretez
    """
)

#: What a phone says of a reaction whose emoji stands before it: `👍 to “…”`. Without one a person writes so.
AFTER_AN_EMOJI = frozenset(("to", "a"))

#: What is reacted to that has no words.
REACTED_TO = (
    r"(?:an?|una?|une) (?:image|photo|picture|video|movie|gif|sticker|attachment|audio message|voice message|contact|"
    r"location|imagen|foto|archivo adjunto|mensaje de audio|mensaje de voz|nota de voz|contacto|ubicacion|piece jointe|"
    r"message vocal|message audio|autocollant)"
)

#: How phones put a reaction into words, in English, Spanish and French, by Apple and by Google: this, then what is
#: quoted. An emoji in it leaves no word. Regular expressions.
REACTIONS = (
    r"liked",
    r"loved",
    r"disliked",
    r"laughed at",
    r"emphasi[sz]ed",
    r"questioned",
    r"reacted(?: with)? to",
    r"reacted",
    r"removed (?:a|an) (?:like|heart|dislike|laugh|exclamation(?: mark)?|question(?: mark)?|reaction) from",
    r"removed from",
    r"(?:a \w+ )?(?:no )?(?:me|te|le|les) gusto",
    r"(?:me|te|le) encanto",
    r"(?:se rio (?:de|con)|le dio risa|le hizo gracia)",
    r"(?:dio|puso) (?:un )?(?:me gusta|me encanta|no me gusta)(?: a)?",
    r"(?:no )?(?:me|te|le|les) (?:ha|han) (?:gustado|encantado|dado risa|hecho gracia)",
    r"se ha reido (?:de|con)",
    r"(?:ha )?(?:exclamado|exclamo) por",
    r"(?:ha dudado|dudo) (?:de|sobre)",
    r"ha (?:enfatizado|destacado|cuestionado|reaccionado(?: con)?(?: a)?)",
    r"enfatizo",
    r"destaco",
    r"exclamo",
    r"(?:cuestiono|pregunto)(?: por)?",
    r"reacciono(?: con)?(?: a)?",
    r"(?:elimino|quito|se quito|se ha quitado)(?: (?:un|una|el|la))?(?: \w+){0,3} (?:de|a)",
    r"(?:a |n a pas |j )?(?:aime|adore)",
    r"(?:a )?(?:ri|rigole) (?:de|a)",
    r"a rit",
    r"a (?:mis en evidence|accentue|insiste sur|souligne)",
    r"a (?:pose une question|exprime un doute)(?: (?:sur|a propos de))?",
    r"a (?:mis en doute|interroge|questionne)",
    r"a mis l accent sur",
    r"a reagi(?: (?:avec|par))?(?: a)?",
    r"a (?:supprime|retire|enleve)(?: (?:un|une|le|la|l))?(?: \w+){0,3} (?:de|a|sur)",
    r"(?:une )?reaction",
    r"rea[cg]iu",
)
