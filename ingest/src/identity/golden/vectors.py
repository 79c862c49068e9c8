"""Prints golden vectors of one Django's credentials as JSON: how it signs sessions, timestamps and passwords' hashes.

django.json holds the output of several Djangos, made so:
    python vectors.py OLD.json NEW.json > django.json     joins what `python vectors.py` printed with each
"""

import json
import sys
from datetime import datetime, timezone
from unittest import mock

SECRET_KEY = "golden key: 1f9c, not a secret of anybody's site"
OLD_SECRET_KEY = "golden key before the rotation, with ünïcode"
MOMENT = 1_700_000_000  # 2023-11-14T22:13:20Z
USERS = [
    {"id": "7", "password": "pbkdf2_sha256$260000$goldensalt$3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    {"id": "3c3d9bb4-54a2-4c0f-a53e-6c9d6a0e3d11", "password": "argon2$argon2id$v=19$m=102400,t=2,p=8$golden$hash"},
    {"id": "8", "password": "!unusable"},
]
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def configure(secret_key, fallbacks=()):
    from django.conf import settings

    settings.configure(
        SECRET_KEY=secret_key,
        SECRET_KEY_FALLBACKS=list(fallbacks),
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_TZ=True,
        MIDDLEWARE=[],
    )
    import django

    django.setup()


def under(secret_key):
    from django.test import override_settings

    return override_settings(SECRET_KEY=secret_key)


def session_auth_hash(user):
    from django.contrib.auth.models import User

    return User(password=user["password"]).get_session_auth_hash()


def session(name, data, secret_key=SECRET_KEY):
    from django.contrib.sessions.backends.db import SessionStore

    with under(secret_key):
        encoded = SessionStore().encode(data)
        assert SessionStore().decode(encoded) == data
    return {
        "name": name,
        "secret_key": secret_key,
        "session_data": encoded,
        "compressed": encoded.startswith("."),
        "signed_at": MOMENT,
        "json": json.dumps(data, separators=(",", ":")),
        "user": data.get("_auth_user_id"),
        "backend": data.get("_auth_user_backend"),
        "hash": data.get("_auth_user_hash"),
    }


def logged_in(user, secret_key=SECRET_KEY, **further):
    with under(secret_key):
        digest = session_auth_hash(user)
    return {"_auth_user_id": user["id"], "_auth_user_backend": MODEL_BACKEND, "_auth_user_hash": digest, **further}


def sessions():
    long = {"basket": ["a thing that repeats itself"] * 40}
    yield session("empty", {})
    yield session("anonymous", {"basket": [1, 2, 3], "name": "Zoë 🐨"})
    yield session("anonymous, compressed", long)
    yield session("logged in", logged_in(USERS[0]))
    yield session("logged in with a UUID, compressed", logged_in(USERS[1], **long))
    yield session("logged in without a usable password", logged_in(USERS[2]))
    yield session("logged in before the rotation", logged_in(USERS[0], OLD_SECRET_KEY), OLD_SECRET_KEY)
    yield session("logged in before the rotation, saved after it", logged_in(USERS[0], OLD_SECRET_KEY))
    yield session("another backend", {**logged_in(USERS[0]), "_auth_user_backend": "site.backends.Directory"})
    yield session("an expiry of its own", {**logged_in(USERS[0]), "_session_expiry": 300})


def csrf():
    from django.middleware import csrf as module

    make_secret = getattr(module, "_get_new_csrf_string", None) or module._get_new_csrf_secret
    mask = getattr(module, "_mask_cipher_secret")
    for _ in range(3):
        secret = make_secret()
        yield {"secret": secret, "masked": [mask(secret) for _ in range(3)], "of_another_secret": mask(make_secret())}


def signed():
    from django.core import signing

    def sign(value, salt, key, signer=signing.TimestampSigner):
        with under(key):
            return {"value": value, "salt": salt, "secret_key": key, "signed": signer(salt=salt).sign(value)}

    return {
        "timestamped": [
            sign("hello", "golden.salt", SECRET_KEY),
            sign("héllo:with:colons", "golden.salt", SECRET_KEY),
            sign("hello", "golden.salt", OLD_SECRET_KEY),
        ],
        "plain": [sign("hello", "golden.salt", SECRET_KEY, signing.Signer)],
        "signed_at": MOMENT,
    }


def vectors():
    import django

    return {
        "django": django.get_version(),
        "secret_key": SECRET_KEY,
        "old_secret_key": OLD_SECRET_KEY,
        "session_salt": "django.contrib.sessions.SessionStore",
        "users": [user | {"session_auth_hash": hashes(user)} for user in USERS],
        "sessions": list(sessions()),
        "csrf": list(csrf()),
        "signed": signed(),
    }


def hashes(user):
    of = {}
    for key in (SECRET_KEY, OLD_SECRET_KEY):
        with under(key):
            of[key] = session_auth_hash(user)
    return of


if __name__ == "__main__":
    if len(sys.argv) > 1:
        joined = [json.load(open(file, encoding="utf-8")) for file in sys.argv[1:]]
    else:
        configure(SECRET_KEY)
        with mock.patch("time.time", lambda: MOMENT):
            joined = vectors()
    json.dump(joined, sys.stdout, indent=2, ensure_ascii=False)
    print()
