"""A session that can be read and not changed.

The answer goes to ingest, not to the visitor's browser, whose cookies therefore stay as they are. Django itself gives
a session another key when a fallback of SECRET_KEY verifies it, and deletes what has expired: here that would log
the visitor out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest


class Untouched:
    """Goes before an engine's store and takes its writing methods away."""

    _session_key: str | None
    _session_cache: dict[str, Any]

    def create(self) -> None:
        self._session_key = None

    def save(self, must_create: bool = False) -> None:
        pass

    def delete(self, session_key: str | None = None) -> None:
        pass

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        self._session_cache = {}
        self._session_key = None

    def is_empty(self) -> bool:
        """What keeps SessionMiddleware from saving it."""
        return True


@lru_cache(maxsize=None)
def _untouched(store: type) -> type:
    # Engines sign their data with the class's name.
    names = {"__module__": store.__module__, "__qualname__": store.__qualname__}
    return type(store.__name__, (Untouched, store), names)


def leave_untouched(request: HttpRequest) -> None:
    """From here on nothing in this request changes the visitor's session, or sets its cookie."""
    session = getattr(request, "session", None)
    if isinstance(session, SessionBase) and not session.modified:
        session.__class__ = _untouched(type(session))
        # SessionMiddleware deletes the cookie of an empty session.
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
