"""Signing in by OpenID Connect, at whichever provider the settings name by its discovery address.

The authorization code flow with PKCE, state and nonce. Requests go to the addresses of the discovery document alone,
which names its issuer; what an ID token says is checked by authlib, its signature by joserfc. What proves who somebody
is, is an address that the provider has verified.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import httpx
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from libs.common.settings.api import ApiSettings
from services.api.accounts.provider import NotProven, Pending, ProviderAway

SCOPE = "openid email profile"
CALLBACK = "/desk/sign-in/provider/callback"
TIMEOUT = 10.0  # seconds for each answer of the provider
KEPT = 3600.0  # seconds for which its document and keys are not asked for again
LEEWAY = 60  # seconds by which its clock and ours may differ
#: Signatures by the provider's own key. Those by a secret that we have, too, prove less.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

log = structlog.stdlib.get_logger(__name__)


class OpenIdProvider:
    """The provider that the settings name."""

    def __init__(self, settings: ApiSettings) -> None:
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._trusts_email = settings.oidc_trust_email
        self._redirect_uri = settings.public_url.rstrip("/") + CALLBACK
        self._document: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = 0.0

    async def begin(self) -> tuple[str, Pending]:
        """Return the address at which somebody signs in, and what to keep meanwhile. Raise ProviderAway."""
        pending = Pending(
            state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48)
        )
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            document = await self._discover(client)
        address = prepare_grant_uri(
            document["authorization_endpoint"],
            client_id=self._client_id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=SCOPE,
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
        )
        return str(address), pending

    async def finish(self, pending: Pending, answered: Mapping[str, str]) -> str:
        """Return the verified e-mail address of whoever came back with an answer. Raise NotProven or ProviderAway."""
        if not secrets.compare_digest(answered.get("state", "").encode(), pending.state.encode()):
            raise NotProven("the state is another")
        if answered.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise NotProven("the answer is another provider's")
        if not answered.get("code"):
            raise NotProven("there is no code")
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            document = await self._discover(client)
            tokens = await self._tokens(client, document, answered["code"], pending.verifier)
            claims = await self._claims(client, document, tokens, pending.nonce)
            if "email" not in claims and "userinfo_endpoint" in document:
                claims = await self._user_info(client, document, tokens, claims)
        email, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(email, str) or not email:
            raise NotProven("the provider names no e-mail address")
        if verified is not True and verified != "true" and not self._trusts_email:
            raise NotProven("the provider has not verified the e-mail address")
        return email

    async def _discover(self, client: httpx.AsyncClient) -> dict[str, Any]:
        if self._document and time.monotonic() - self._read_at < KEPT:
            return self._document
        document = await _json(client, "GET", get_well_known_url(self._issuer, external=True))
        if document.get("issuer") != self._issuer:
            raise ProviderAway("its document is of another issuer")
        if missing := [name for name in ENDPOINTS if not isinstance(document.get(name), str)]:
            raise ProviderAway(f"its document lacks {', '.join(missing)}")
        self._document, self._keys, self._read_at = document, None, time.monotonic()
        return document

    async def _tokens(
        self, client: httpx.AsyncClient, document: dict[str, Any], code: str, verifier: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            # RFC 6749, 2.3.1: both are form-encoded first.
            auth = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._secret))
            return await _json(client, "POST", document["token_endpoint"], data=form, auth=auth)
        form |= {"client_id": self._client_id, "client_secret": self._secret}
        return await _json(client, "POST", document["token_endpoint"], data=form)

    async def _claims(
        self, client: httpx.AsyncClient, document: dict[str, Any], tokens: dict[str, Any], nonce: str
    ) -> dict[str, Any]:
        """Return what the ID token says. Raise NotProven unless it is the provider's, for us, and of this sign-in."""
        given = document.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(algorithms=[each for each in ALGORITHMS if each in given], strict_check_header=False)
        raw = str(tokens.get("id_token", ""))
        try:
            try:
                token = jwt.decode(raw, await self._key_set(client, document), registry=registry)
            except InvalidKeyIdError:  # it has new keys
                self._keys = None
                token = jwt.decode(raw, await self._key_set(client, document), registry=registry)
            options = {
                "iss": {"essential": True, "values": [self._issuer]},
                "aud": {"essential": True, "value": self._client_id},
                "nonce": {"essential": True, "value": nonce},
            }
            known = {"nonce": nonce, "client_id": self._client_id, "access_token": tokens.get("access_token")}
            claims = CodeIDToken(token.claims, token.header, options, known)
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError) as error:
            log.warning("id_token_refused", reason=type(error).__name__)
            raise NotProven("the ID token is not valid") from error
        return dict(claims)

    async def _key_set(self, client: httpx.AsyncClient, document: dict[str, Any]) -> KeySet:
        if self._keys is None:
            found = await _json(client, "GET", document["jwks_uri"])
            try:
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise ProviderAway("its keys cannot be read") from error
        return self._keys

    async def _user_info(
        self, client: httpx.AsyncClient, document: dict[str, Any], tokens: dict[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        bearer = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
        found = await _json(client, "GET", document["userinfo_endpoint"], headers=bearer)
        if found.get("sub") != claims["sub"]:
            raise NotProven("the provider speaks of somebody else")
        return {**claims, **found}


async def _json(client: httpx.AsyncClient, method: str, address: str, **options: Any) -> dict[str, Any]:
    """Return the object that the provider answers. Raise ProviderAway, or NotProven where it refuses."""
    headers = {"Accept": "application/json", **options.pop("headers", {})}
    try:
        answer = await client.request(method, address, headers=headers, **options)
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProviderAway(f"{type(error).__name__}") from error
    if answer.is_client_error and method == "POST":
        raise NotProven("the provider refuses the code")
    if not answer.is_success or not isinstance(found, dict):
        raise ProviderAway(f"it answers {answer.status_code}")
    return found
