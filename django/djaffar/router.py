"""For rows that are kept apart from the site's own database.

    DATABASE_ROUTERS = ["djaffar.router.Rows"]   # after others
    DJAFFAR_DATABASE = "rows"                    # an alias of DATABASES

Users and sessions are found, but no query joins them: use `prefetch_related`, not `select_related`.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS

from . import configuration

MODELS = frozenset(("activity", "sessioninfo"))


class Rows:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        if _is_ours(model):
            return configuration.database()
        # Else Django looks for the user of an activity beside it.
        return DEFAULT_DB_ALIAS if _is_ours(hints.get("instance")) else None

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **_: Any) -> bool | None:
        return True if _is_ours(one) or _is_ours(other) else None

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **_: Any) -> bool | None:
        if app_label == "djaffar" and model_name in MODELS:
            return db == configuration.database()
        # The migration of the original's tables is for where they are.
        return None


def _is_ours(model: Any) -> bool:
    return model is not None and model._meta.app_label == "djaffar"
