"""A Django site with many users: makes its database, prints what their browsers and programs send.

    site.py DATABASE COUNT

One JSON object a user and line: session (the cookie's value), token (of Django REST framework), jwt (HS256).
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import django
from django.conf import settings

DATABASE, COUNT = sys.argv[1], int(sys.argv[2])
settings.configure(
    SECRET_KEY="the secret key of the benchmark's site",
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    # What a password costs is not what is measured.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import transaction
from rest_framework.authtoken.models import Token

JWT_KEY = b"the key of the benchmark's JSON Web Tokens"


def jwt(user):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({"alg": "HS256"}) + b"." + part({"sub": str(user.pk), "exp": int(time.time()) + 24 * 3600})
    signature = hmac.new(JWT_KEY, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


call_command("migrate", verbosity=0)
with transaction.atomic():
    for number in range(COUNT):
        user = get_user_model().objects.create_user(f"user-{number}", password="password")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        token = Token.objects.create(user=user)
        print(json.dumps({"session": session.session_key, "token": token.key, "jwt": jwt(user)}))
