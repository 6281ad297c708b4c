"""A small OpenID Connect provider, as a process of its own: `python -m tests.support.openid_provider PORT`.

It keeps to the standard: a code counts once, for its client, its redirect address and its PKCE challenge. Whoever comes
is the person that a test put there (`PUT /person`), who may also say what is to be wrong with the ID token.
"""

import base64
import hashlib
import secrets
import sys
import time
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from litestar import Litestar, Request, Response, get, post, put
from litestar.response import Redirect

CLIENT_ID = "broadsheet at the newsroom"
CLIENT_SECRET = "a secret: of + both & %"

AnyRequest = Request[Any, Any, Any]

person: dict[str, Any] = {}
keys = [RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "first"})]
codes: dict[str, dict[str, str]] = {}
tokens: dict[str, dict[str, Any]] = {}
counted = {"documents": 0, "keys": 0}


def issuer(request: AnyRequest) -> str:
    return f"http://{request.headers['host']}"


def refused(error: str) -> Response[dict[str, str]]:
    return Response({"error": error}, status_code=400)


@put("/person")
async def set_person(request: AnyRequest) -> None:
    """Say who comes next."""
    person.clear()
    person.update(await request.json())


@post("/new-key")
async def new_key() -> None:
    """Sign by a new key from now on, as providers do from time to time."""
    keys.insert(0, RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": secrets.token_hex(4)}))


@get("/counted")
async def counts() -> dict[str, int]:
    return counted


@get("/.well-known/openid-configuration")
async def document(request: AnyRequest) -> dict[str, Any]:
    counted["documents"] += 1
    me = issuer(request)
    return {
        "issuer": person.get("issuer_of_the_document", me),
        "authorization_endpoint": f"{me}/authorize?tenant=1",
        "token_endpoint": f"{me}/token",
        "jwks_uri": f"{me}/keys",
        "userinfo_endpoint": f"{me}/userinfo",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": person.get("methods", ["client_secret_post", "client_secret_basic"]),
    }


@get("/keys")
async def key_set() -> dict[str, Any]:
    counted["keys"] += 1
    return {"keys": [key.as_dict(private=False) for key in keys]}


@get("/authorize")
async def authorize(request: AnyRequest) -> Redirect | Response[dict[str, str]]:
    asked = dict(request.query_params.items())
    if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code" or asked.get("tenant") != "1":
        return refused("invalid_request")
    if "openid" not in asked.get("scope", "").split() or asked.get("code_challenge_method") != "S256":
        return refused("invalid_request")
    if person.get("refuses"):
        return Redirect(f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}")
    code = secrets.token_urlsafe(16)
    codes[code] = asked
    return Redirect(
        f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': issuer(request)})}"
    )


@post("/token", status_code=200)
async def token(request: AnyRequest) -> Response[dict[str, Any]] | Response[dict[str, str]]:
    form = dict(parse_qsl((await request.body()).decode()))
    given = (form.get("client_id"), form.get("client_secret"))
    scheme, _, basic = request.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        name, _, secret = base64.b64decode(basic).decode().partition(":")
        given = (unquote_plus(name), unquote_plus(secret))
    if given != (CLIENT_ID, CLIENT_SECRET):
        return refused("invalid_client")
    asked = codes.pop(form.get("code", ""), None)
    if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
        return refused("invalid_grant")
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
        return refused("invalid_grant")
    now = int(time.time())
    told: dict[str, Any] = {name: person[name] for name in ("email", "email_verified") if name in person}
    claims = {
        "iss": issuer(request),
        "aud": CLIENT_ID,
        "sub": person.get("sub", "somebody"),
        "iat": now,
        "exp": now + 300,
        "nonce": asked["nonce"],
        **({} if person.get("tells_by_userinfo") else told),
        **person.get("claims", {}),
    }
    key = RSAKey.generate_key(2048) if person.get("forges") else keys[0]
    access_token = secrets.token_urlsafe(16)
    about: dict[str, Any] = {"sub": person.get("sub_of_userinfo", claims["sub"]), **told}
    tokens[access_token] = about
    signed = jwt.encode({"alg": "RS256", "kid": keys[0].kid}, claims, key)
    if person.get("signs_not"):
        parts = [b'{"alg":"none"}', signed.split(".")[1].encode()]
        signed = f"{base64.urlsafe_b64encode(parts[0]).rstrip(b'=').decode()}.{parts[1].decode()}."
    return Response({"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": signed})


@get("/userinfo")
async def user_info(request: AnyRequest) -> Response[dict[str, Any]]:
    found = tokens.get(request.headers.get("authorization", "").partition(" ")[2])
    return Response(found or {}, status_code=200 if found else 401)


app = Litestar(
    [set_person, new_key, counts, document, key_set, authorize, token, user_info], openapi_config=None, debug=True
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
