"""A small site; the environment variables say which one.

SHOP_DATABASE, SHOP_ROWS   sqlite:FILE or postgres://user@host:port/name: Django's own, and Djaffar's
SHOP_KEYS                  SECRET_KEY and its fallbacks, one a line
SHOP_SESSIONS              db, cached_db, cache or file
SHOP_FILES                 a folder for the sessions of `file`
SHOP_USERS                 number or uuid: the primary key of users
SHOP_CSRF_IN_SESSIONS      set: CSRF_USE_SESSIONS
SHOP_REST_FRAMEWORK        set: the site authenticates with it
SHOP_AUTHENTICATION        a class that authenticates instead of the usual ones
SHOP_TOKENS_END_WITH_THE_PASSWORD   set: CHECK_REVOKE_TOKEN of simplejwt
SHOP_INGEST, SHOP_KEY      DJAFFAR_INGEST and DJAFFAR_KEY
"""

import os
from datetime import timedelta
from urllib.parse import urlsplit


def database(url):
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, "OPTIONS": {"timeout": 30}}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


SECRET_KEY, *SECRET_KEY_FALLBACKS = os.environ["SHOP_KEYS"].split("\n")
DATABASES = {"default": database(os.environ["SHOP_DATABASE"])}
if os.environ.get("SHOP_ROWS"):
    DATABASES["rows"] = database(os.environ["SHOP_ROWS"])
SESSION_ENGINE = "django.contrib.sessions.backends." + os.environ.get("SHOP_SESSIONS", "db")
SESSION_FILE_PATH = os.environ.get("SHOP_FILES")
CSRF_USE_SESSIONS = bool(os.environ.get("SHOP_CSRF_IN_SESSIONS"))
if os.environ.get("SHOP_INGEST"):
    DJAFFAR_INGEST = os.environ["SHOP_INGEST"]
if os.environ.get("SHOP_KEY"):
    DJAFFAR_KEY = os.environ["SHOP_KEY"]

DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework.authtoken",
    "oauth2_provider",
    "djaffar",
]
if os.environ.get("SHOP_USERS") == "uuid":
    INSTALLED_APPS.append("people")
    AUTH_USER_MODEL = "people.Person"
if os.environ.get("SHOP_REST_FRAMEWORK"):
    INSTALLED_APPS.append("rest_framework")
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework.authentication.TokenAuthentication",
            "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
            "rest_framework.authentication.SessionAuthentication",
        ]
    }
    if os.environ.get("SHOP_AUTHENTICATION"):
        REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"] = [os.environ["SHOP_AUTHENTICATION"]]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {"registration/login.html": "<form method=post>{% csrf_token %}{{ form }}</form>"},
                )
            ],
            "context_processors": ["django.template.context_processors.request"],
        },
    }
]
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "CHECK_REVOKE_TOKEN": bool(os.environ.get("SHOP_TOKENS_END_WITH_THE_PASSWORD")),
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "urls"
USE_TZ = True
