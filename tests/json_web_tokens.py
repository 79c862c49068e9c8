"""Golden tokens of the real PyJWT and simplejwt, for ingest/src/identity/json_web_token/tests/golden.rs.

target/tools/django-newest/bin/python tests/json_web_tokens.py > ingest/src/identity/golden/json_web_tokens.json

The private keys are made here and kept nowhere.
"""

import hashlib
import json

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.conf import settings

SECRET = "a secret that only the site knows, long enough for HS512: 0123456789"
PASSWORD = "pbkdf2_sha256$1000000$salt$hash"
NOW = 1_800_000_000

settings.configure(
    SECRET_KEY=SECRET,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    USE_TZ=True,
)
django.setup()

import jwt  # noqa: E402
from jwt.algorithms import get_default_algorithms  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken  # noqa: E402

ALGORITHMS = {
    "HS256": None,
    "HS384": None,
    "HS512": None,
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], rsa.generate_private_key(65537, 2048)),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def token_of(algorithm, key):
    claims = {"sub": "7", "iat": NOW, "nbf": NOW, "exp": NOW + 60, "iss": "https://issuer.example", "aud": ["shop"]}
    return jwt.encode(claims, key or SECRET, algorithm, headers={"kid": algorithm})


def of_algorithm(name, key):
    entry = {"algorithm": name, "token": token_of(name, key)}
    if key is not None:
        jwk = json.loads(get_default_algorithms()[name].to_jwk(key.public_key()))
        entry["pem"] = pem(key)
        entry["jwk"] = {**jwk, "kid": name, "alg": name, "use": "sig"}
    return entry


def simplejwt(kind, **claims):
    token = kind()
    token.payload.update({"iat": NOW, "exp": NOW + 300, "jti": "0" * 32, **claims})
    return str(token)


rsa_key = ALGORITHMS["RS256"].public_key()
digest = hashlib.md5(PASSWORD.encode()).hexdigest().upper()
print(
    json.dumps(
        {
            "now": NOW,
            "secret": SECRET,
            "password": PASSWORD,
            "algorithms": [of_algorithm(name, key) for name, key in ALGORITHMS.items()],
            "pkcs1_pem": rsa_key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
            ).decode(),
            "simplejwt": {
                "access": simplejwt(AccessToken, user_id="7"),
                "access_of_a_number": simplejwt(AccessToken, user_id=7),
                "access_with_password": simplejwt(AccessToken, user_id="7", hash_password=digest),
                "access_of_nobody": simplejwt(AccessToken),
                "refresh": simplejwt(RefreshToken, user_id="7"),
            },
        },
        indent=1,
    )
)
