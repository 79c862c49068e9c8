"""Finds activities for the admin site, with an index or among a bounded number of rows."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

SEARCHED_MAX = 100_000
VISITOR = "visitor"
_VISITORS = {"user": Q(user__isnull=False), "nobody": Q(user__isnull=True)}


def narrowed(activities: QuerySet, term: str, visitor: str | None) -> tuple[QuerySet, bool]:
    """Those that `term` and the choice of visitors leave of `activities`, which the dates have narrowed already.

    And whether they are those of one user or session.
    """
    is_somebodys = False
    without_index = [_VISITORS[visitor]] if visitor in _VISITORS else []
    if "\0" in term:
        return activities.none(), is_somebodys
    if term:
        user = _user(term)
        if user is not None:
            activities, is_somebodys = activities.filter(user=user), True
        elif activities.model._default_manager.filter(session_id=term).exists():
            activities, is_somebodys = activities.filter(session_id=term), True
        else:
            without_index.append(Q(ip_address=_address(term)) if _address(term) else Q(path__icontains=term))
    return (_among_latest(activities).filter(*without_index) if without_index else activities), is_somebodys


def of_user(activities: QuerySet, key: str) -> QuerySet:
    try:
        return activities.filter(user=activities.model._meta.get_field("user").to_python(key))
    except (ValidationError, ValueError):
        return activities.none()


def _among_latest(activities: QuerySet) -> QuerySet:
    """By their date, so that the rows may be searched as the index gives them."""
    latest = activities.order_by("-date", "-id").prefetch_related(None).values_list("date", flat=True)
    beyond = next(iter(latest[SEARCHED_MAX : SEARCHED_MAX + 1]), None)
    return activities if beyond is None else activities.filter(date__gt=beyond)


def _user(name: str) -> Any:
    try:
        return get_user_model()._default_manager.get_by_natural_key(name)
    except (get_user_model().DoesNotExist, AttributeError, ValueError):
        return None


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
