"""A small site: python -m django test --settings=tests.settings, from the folder above.

BINARY_UNDER_TEST   the program that makes the tables; ../target/debug/djaffar unless given
TEST_DATABASE       postgres://user@host:port/name, beside which the tests' own is made; SQLite unless given
TEST_USERS          int, uuid or text: the key of users
"""

import os
import tempfile
from pathlib import Path

from .databases import database

_directory = tempfile.TemporaryDirectory()

_users = os.environ.get("TEST_USERS", "int")
_database = os.environ.get("TEST_DATABASE")

PROGRAM = os.environ.get("BINARY_UNDER_TEST") or str(Path(__file__).parents[2] / "target/debug/djaffar")
SECRET_KEY = "the tests' own"
ALLOWED_HOSTS = ["site.example", "testserver"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
    "tests.people",
    "djaffar",
]
AUTH_USER_MODEL = {"int": "auth.User", "uuid": "people.UuidUser", "text": "people.TextUser"}[_users]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
if _database:
    DATABASES = {"default": database(_database)}
else:
    # A file, because Djaffar makes its tables in it.
    _file = os.path.join(_directory.name, "tests.sqlite3")
    DATABASES = {"default": {**database(f"sqlite:{_file}"), "TEST": {"NAME": _file}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
SESSION_FILE_PATH = _directory.name
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
TEST_RUNNER = "tests.runner.WithTables"
TIME_ZONE = "Europe/Paris"
USE_TZ = True
