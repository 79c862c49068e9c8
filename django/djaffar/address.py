"""What a page says of an activity: its address, which carries the date, and what of it is shown."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.timezone import is_aware, localtime, make_naive

from .models import Activity

_ADDRESS = re.compile(r"(-?\d{1,18})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
SESSION_CHARACTERS_SHOWN = 8


def of(activity: Activity) -> str:
    """Microseconds since 1970 and the id, such as `1482996922571123-0198c0de...`."""
    date = activity.date if is_aware(activity.date) else activity.date.astimezone(timezone.utc)
    return f"{(date - _EPOCH) // _MICROSECOND}-{activity.pk.hex}"


def find(activities: QuerySet, address: str) -> Activity | None:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return None
    try:
        date = _EPOCH + int(match[1]) * _MICROSECOND
    except OverflowError:
        return None
    if not settings.USE_TZ:
        date = make_naive(date)
    return activities.filter(date=date, pk=UUID(match[2])).first()


def local_time(date: datetime) -> str:
    try:
        shown = localtime(date).replace(tzinfo=None) if is_aware(date) else date
    except OverflowError:
        # The first and the last day there is: with its offset.
        shown = date
    return shown.isoformat(" ", "milliseconds" if shown.microsecond else "seconds")


def shown_session(key: str) -> str:
    """Its end, which is random in Django's keys and in Djaffar's; the whole one would let the reader in."""
    # U+2060 keeps both on one line.
    return f"…\u2060{key[-SESSION_CHARACTERS_SHOWN:]}" if len(key) >= 3 * SESSION_CHARACTERS_SHOWN else "…"
