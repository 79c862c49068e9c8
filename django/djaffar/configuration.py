"""The settings of the app, read at every use: tests and sites may override them.

DJAFFAR_INGEST                   where the relay finds ingest; with another --base-path: http://host:port/path
DJAFFAR_INGEST_TIMEOUT           seconds that the relay waits for an answer
DJAFFAR_KEY                      the secret of ingest's --auth-url-key; without it anybody may ask who he is
DJAFFAR_AUTHENTICATION_CLASSES   of REST framework; its DEFAULT_AUTHENTICATION_CLASSES unless given
DJAFFAR_DATABASE                 the alias of the database with Djaffar's rows, for djaffar.router.Rows
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

DEFAULT_INGEST = "http://127.0.0.1:8080"
DEFAULT_BASE_PATH = "/djaffar"
DEFAULT_TIMEOUT = 10.0


class Ingest(NamedTuple):
    https: bool
    host: str
    port: int | None
    base_path: str
    timeout: float


def ingest() -> Ingest:
    text = getattr(settings, "DJAFFAR_INGEST", DEFAULT_INGEST)
    timeout = getattr(settings, "DJAFFAR_INGEST_TIMEOUT", DEFAULT_TIMEOUT)
    if not isinstance(timeout, (int, float)) or timeout <= 0:
        raise ImproperlyConfigured("DJAFFAR_INGEST_TIMEOUT is a number of seconds above 0.")
    try:
        url = urlsplit(text)
        port = url.port
    except (AttributeError, TypeError, ValueError):
        url, port = None, None
    if url is None or url.scheme not in ("http", "https") or not url.hostname or url.query or url.username:
        raise ImproperlyConfigured(f"DJAFFAR_INGEST is a URL such as {DEFAULT_INGEST!r}, with ingest's --base-path if it has one.")
    base_path = url.path.rstrip("/") or DEFAULT_BASE_PATH
    return Ingest(url.scheme == "https", url.hostname, port, base_path, float(timeout))


def key() -> str | None:
    value = getattr(settings, "DJAFFAR_KEY", None)
    if value is not None and (not isinstance(value, str) or not value):
        raise ImproperlyConfigured("DJAFFAR_KEY is a text that is not empty, the same as ingest's --auth-url-key.")
    return value


def authentication_classes() -> list[type] | None:
    """The classes named, or None for those of REST framework's own settings."""
    names = getattr(settings, "DJAFFAR_AUTHENTICATION_CLASSES", None)
    if names is None:
        return None
    from django.utils.module_loading import import_string

    try:
        return [import_string(name) if isinstance(name, str) else name for name in names]
    except (ImportError, TypeError) as error:
        raise ImproperlyConfigured(f"DJAFFAR_AUTHENTICATION_CLASSES cannot be used: {error}") from error


def database() -> str:
    alias = getattr(settings, "DJAFFAR_DATABASE", DEFAULT_DB_ALIAS)
    if alias not in settings.DATABASES:
        raise ImproperlyConfigured(f"DJAFFAR_DATABASE is one of DATABASES: {', '.join(settings.DATABASES)}.")
    return alias


def uses_rest_framework() -> bool:
    """Whether the site does; being importable is not enough, as another package may have brought it."""
    return (
        apps.is_installed("rest_framework")
        or hasattr(settings, "REST_FRAMEWORK")
        or getattr(settings, "DJAFFAR_AUTHENTICATION_CLASSES", None) is not None
    )
