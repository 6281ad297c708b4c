"""The parts of a message, counted in the database as `domain/message_parts.py` counts them.

Most messages are told by their length: letters to which nothing is joined fill a part whatever they are. Where a
character that takes two units, or an emoji, may stand at the end of a part, both bounds are computed; where they differ
the answer is 0, and `message_parts.parts_of` has to tell.
"""

from libs.common.domain.message_parts import BASIC, EXTENSION, ROOM, Encoding

ONE_GSM, EACH_GSM = ROOM[Encoding.GSM_7]
ONE_UCS, EACH_UCS = ROOM[Encoding.UCS_2]


def _class(characters: str) -> str:
    """Return the regular expression of a character that is none of some, as a literal of SQL."""
    return f"E'[^{characters}]'"


#: GSM-7: all of ASCII that is printed but for the grave accent, the ends of lines, and the other letters of its tables.
NOT_GSM = _class(r" -_a-~\n\r\f" + "".join(sorted(each for each in BASIC | EXTENSION if each > "\x7f")))
#: Letters and signs to which nothing is joined, of 16 bits each.
_ALONE = (
    r"\t\n\r\f -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u1e00-\u1fff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf"
    r"\u2100-\u2bff\u3001-\u3029\u3041-\u3096\u30a0-\u30ff\u4e00-\u9fff\uac00-\ud7a3"
)
NOT_ALONE = _class(_ALONE)
#: The same, and emoji of two units each that are no colour of skin and no letter of a flag.
NOT_PLAIN = _class(_ALONE + r"\U0001f300-\U0001f3fa\U0001f400-\U0001faff")
_EXTENDED = "E'" + "".join({"\f": r"\f", "\\": r"\\"}.get(each, each) for each in sorted(EXTENSION)) + "'"


def utf16_units(body: str) -> str:
    """Return the expression for how many units of UTF-16 an expression has, as carriers count."""
    beyond = r"E'[^\U00010000-\U0010ffff]+'"
    return f"""(length({body}) + CASE WHEN octet_length({body}) < length({body}) + 3 THEN 0
        ELSE length(regexp_replace({body}, {beyond}, '', 'g')) END)"""


def parts(body: str) -> str:
    """Return the expression for in how many parts an expression is sent; 0 where it cannot tell, null of null."""
    septets = f"(2 * length({body}) - length(translate({body}, {_EXTENDED}, '')))"
    units = utf16_units(body)
    return f"""
    CASE WHEN {body} IS NULL THEN NULL
         WHEN {body} !~ {NOT_GSM} THEN
             CASE WHEN {septets} <= {ONE_GSM} THEN 1
                  WHEN {septets} = length({body}) OR {_filled(septets, EACH_GSM)} = {_filled(septets, EACH_GSM - 1)}
                      THEN {_filled(septets, EACH_GSM)}
                  ELSE 0 END
         WHEN {body} !~ {NOT_ALONE} THEN
             CASE WHEN length({body}) <= {ONE_UCS} THEN 1 ELSE {_filled(f"length({body})", EACH_UCS)} END
         WHEN {units} <= {ONE_UCS} THEN 1
         WHEN {body} !~ {NOT_PLAIN} AND {_filled(units, EACH_UCS)} = {_filled(units, EACH_UCS - 1)}
             THEN {_filled(units, EACH_UCS)}
         ELSE 0 END
"""


def _filled(units: str, room: int) -> str:
    """Return the expression for how many parts so many units fill."""
    return f"(({units} + {room - 1}) / {room})"
