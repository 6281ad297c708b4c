"""Passwords: how they are stored and checked.

Argon2id with the library's own parameters (RFC 9106, low memory). A check takes some tens of milliseconds and 64 MB on
purpose; it runs in a thread, and only a few at once, so that nobody can fill the memory by signing in.
"""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.errors import Invalid
from libs.common.texts import filled

SHORTEST = 12  # characters; NIST SP 800-63B asks for length, not for signs
LONGEST = 200  # characters
AT_ONCE = 2

_hasher = PasswordHasher()
#: What is checked where there is no such account: an answer takes as long as it does for one that is there. It is the
#: hash of a number that was drawn at random and thrown away.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$iHlf/kMyjJCkeGEG4/iIkg$gYkivNlQ40esr360A4Eb/uHDPMAEdXaKlTpls21/r9Y"


class Passwords:
    """Hashes passwords and checks them, a few at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what is stored of a password. Raise Invalid for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise Invalid(
                "password",
                filled("must have %(least)s characters at least, and %(most)s at most", least=SHORTEST, most=LONGEST),
            )
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether a password is the one that was stored; never where nothing is, after as long a time."""
        async with self._turns:
            fits = await asyncio.to_thread(_verify, stored or NOBODY, password[: LONGEST + 1])
        return fits and stored is not None


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
