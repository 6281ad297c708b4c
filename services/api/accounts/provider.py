"""Signing in at a provider of identities: what the desk knows of it, whichever protocol it speaks (`openid.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from libs.common.errors import BroadsheetError


class ProviderAway(BroadsheetError):
    """The provider does not answer, or not as OpenID Connect says."""


class NotProven(BroadsheetError):
    """What the provider sent back does not prove who it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What is kept in a browser's session while its user is at the provider."""

    state: str
    nonce: str
    verifier: str


class Provider(Protocol):
    """Where somebody proves who they are."""

    async def begin(self) -> tuple[str, Pending]:
        """Return the address at which somebody signs in, and what to keep meanwhile. Raise ProviderAway."""

    async def finish(self, pending: Pending, answered: Mapping[str, str]) -> str:
        """Return the verified e-mail address of whoever came back with an answer. Raise NotProven or ProviderAway."""
