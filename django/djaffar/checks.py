"""`manage.py check` says what is wrong with the settings before a visitor does, and `migrate` whether there are rows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from . import configuration


def check_settings(**_: Any) -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    readers = (configuration.ingest, configuration.key, configuration.authentication_classes, configuration.database)
    for number, reader in zip((1, 2, 3, 5), readers):
        try:
            reader()
        except ImproperlyConfigured as error:
            errors.append(Error(str(error), id=f"djaffar.E{number:03}"))
    if configuration.uses_rest_framework():
        try:
            import rest_framework  # noqa: F401
        except ImportError:
            errors.append(
                Error(
                    "REST framework is configured and not installed.",
                    hint="pip install djangorestframework, or remove REST_FRAMEWORK and DJAFFAR_AUTHENTICATION_CLASSES.",
                    id="djaffar.E004",
                )
            )
    return errors


def check_tables(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Asks only the databases that it is told to: `migrate` and `check --database`."""
    found: list[CheckMessage] = []
    try:
        alias = configuration.database()
    except ImproperlyConfigured:
        return found
    if alias not in (databases or ()):
        return found
    connection = connections[alias]
    with connection.cursor() as cursor:
        is_there = "activity" in connection.introspection.table_names(cursor)
    if not is_there:
        message = f"The database {alias!r} has no rows of Djaffar: djaffar.models and the admin page have nothing to read."
        hint = "Run `djaffar migrate --database ...` for it, or see djaffar.router if the rows are elsewhere."
        found.append(Warning(message, hint=hint, id="djaffar.W001"))
    elif connection.vendor == "sqlite" and not settings.USE_TZ:
        message = "Without USE_TZ Django takes the dates that Djaffar stores for local ones; they are UTC."
        found.append(Warning(message, hint="Set USE_TZ = True.", id="djaffar.W002"))
    return found
