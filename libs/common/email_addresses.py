"""E-mail addresses, as those who deliver to them take them: one rule, for users, notices and the sender of letters."""

from email_validator import EmailNotValidError, validate_email

from libs.common.texts import gettext_noop as n_

LONGEST = 254  # characters, RFC 5321


def normalized(given: str) -> str:
    """Return an address as it is kept: without white space around it, in small letters. Raise ValueError.

    The host is one of the public name system: it has a dot, and no ending that is reserved (RFC 6761). Nobody is asked
    whether it exists.
    """
    email = given.strip().lower()
    # ASCII: letters of other scripts that look alike would be other people.
    if not email.isascii():
        raise ValueError(n_("must be an e-mail address, in ASCII"))
    try:
        found = validate_email(email, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise ValueError(n_("must be a whole e-mail address, such as ana@example.org")) from error
    assert found.ascii_email is not None  # it was ASCII
    return found.ascii_email
