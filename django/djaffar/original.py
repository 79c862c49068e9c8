"""The rows of django-djaffar 0.1.10, and what becomes of each in Djaffar's tables."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from ipaddress import IPv6Address, ip_address
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import is_naive, make_aware, now

from .models import Activity, SessionInfo

PATH_MAX, REFERER_MAX, USER_AGENT_MAX = 1000, 2048, 1000
KEY_BYTES_MAX = 255


class InvalidRow(ValueError):
    """Says which column is wrong, and in what way."""


class OriginalActivity(models.Model):
    # No model of the app: its table is no longer Django's to make or change.
    user_id = models.TextField(null=True)
    session_id = models.CharField(max_length=40, null=True)
    ip_address = models.CharField(max_length=45)
    date = models.DateTimeField()
    path = models.CharField(max_length=1000)
    referer = models.CharField(max_length=160)
    id = models.AutoField(primary_key=True)

    class Meta:
        managed = False
        app_label = "djaffar_original"
        db_table = "djaffar_activity"


class OriginalSessionInfo(models.Model):
    session_id = models.CharField(max_length=40, primary_key=True)
    user_agent = models.CharField(max_length=1000)

    class Meta:
        managed = False
        app_label = "djaffar_original"
        db_table = "djaffar_sessioninfo"


def activity(row: Any) -> Activity:
    """With the id that `djaffar load` gives to the same row of a fixture, and received when it is dated."""
    date = make_aware(row.date) if is_naive(row.date) else row.date
    stored = row.date if is_naive(row.date) else date
    return Activity(
        id=stable_id(row.pk, date),
        user_id=_user(row.user_id),
        session_id=_key("session_id", row.session_id),
        ip_address=_address(row.ip_address),
        date=stored,
        received_at=stored,
        path=_text("path", row.path, PATH_MAX, is_required=True),
        referer=_text("referer", row.referer, REFERER_MAX),
    )


def session_info(row: Any, first_seen: datetime | None) -> SessionInfo:
    """First seen with the earliest of its activities."""
    return SessionInfo(
        session_id=_key("session_id", row.pk),
        user_agent=_text("user_agent", row.user_agent, USER_AGENT_MAX),
        first_seen=first_seen or now(),
    )


def stable_id(key: int, date: datetime) -> UUID:
    """`key` in the first 48 bits, then a digest of it and of the date, of which fixtures hold the milliseconds."""
    utc = date.astimezone(timezone.utc)
    shown = utc.replace(microsecond=utc.microsecond // 1000 * 1000, tzinfo=None).isoformat(timespec="microseconds")
    digest = hashlib.sha256(f"djaffar.activity {key} {shown}Z".encode()).digest()
    head = key if 0 <= key < 1 << 48 else int.from_bytes(digest[10:16], "big")
    number = head << 80 | int.from_bytes(digest[:10], "big")
    return UUID(int=number & ~(0xF << 76 | 3 << 62) | 8 << 76 | 2 << 62)


def _user(stored: str | None) -> Any:
    if stored is None:
        return None
    field: Any = Activity._meta.get_field("user")
    try:
        return field.to_python(stored)
    except ValidationError as error:
        raise InvalidRow(f"user_id is no key of {field.related_model._meta.label}: {stored!r}") from error


def _address(stored: str) -> str | None:
    # The original's default.
    if not stored:
        return None
    try:
        address = ip_address(stored.split("%")[0])
    except ValueError as error:
        raise InvalidRow("ip_address is no address") from error
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _text(column: str, text: str, length_max: int, is_required: bool = False) -> str:
    if "\0" in text:
        raise InvalidRow(f"{column} contains U+0000")
    if len(text) > length_max:
        raise InvalidRow(f"{column} has more than {length_max} characters")
    if is_required and not text.strip():
        raise InvalidRow(f"{column} is blank")
    return text


def _key(column: str, key: str | None) -> str | None:
    if key is not None and (not key or "\0" in key or len(key.encode()) > KEY_BYTES_MAX):
        raise InvalidRow(f"{column} is empty, contains U+0000 or has more than {KEY_BYTES_MAX} bytes")
    return key
