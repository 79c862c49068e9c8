"""Who a request comes from, in the words of ingest's question."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def user(of: Any) -> str | None:
    """The primary key as text, as Django's own sessions hold it; None for nobody."""
    if of is None or not getattr(of, "is_authenticated", False) or of.pk is None:
        return None
    if hasattr(of, "_meta"):
        return str(of._meta.pk.value_to_string(of))
    return str(of.pk)


def session(request: HttpRequest) -> str | None:
    """The key of a live session. Loading it is what tells the engines whether it is one."""
    session = getattr(request, "session", None)
    if session is None or not session.session_key:
        return None
    session.get("")
    key = session.session_key
    # Engines without a store, such as signed cookies, have no key either.
    return str(key) if key and session.exists(key) else None


def answer(request: HttpRequest, user_object: Any) -> dict[str, str | None]:
    return {"user": user(user_object), "session": session(request)}
