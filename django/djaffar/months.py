"""Makes the months of old rows on Postgres, as the writer makes its own (writer/src/store/postgres/partitions.rs).

In their own partitions they can be dropped whole; in the default partition they would be in the way of each new month.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from typing import Any, Iterable

from django.db import OperationalError, transaction

LOCK = "SELECT pg_advisory_xact_lock(x'646a616666617201'::bigint)"
LOCK_PAUSE_SECONDS = 0.05
LOCK_BUDGET_SECONDS = 30
EARLIEST = (1970, 1)
# More are left where they are: they would be moved under a lock that every writer waits for.
MOVED_ROWS_MAX = 50_000

_EXISTS = """SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'activity'::regclass))"""
_WAITING = "SELECT count(*) FROM (SELECT FROM activity_default WHERE date >= {start} AND date < {end} LIMIT {most}) AS waiting"
_COLUMNS = "id, date, received_at, session_id, user_id, ip_address, path, referer"
_MAKE = """
LOCK TABLE activity_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {name} (
    LIKE activity INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
    CONSTRAINT month CHECK (date >= {start} AND date < {end})
);
WITH moved AS (DELETE FROM activity_default WHERE date >= {start} AND date < {end} RETURNING {columns})
INSERT INTO {name} ({columns}) SELECT {columns} FROM moved;
ALTER TABLE activity ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end});
ALTER TABLE {name} DROP CONSTRAINT month"""


def make(connection: Any, dates: Iterable[datetime]) -> None:
    """Those of `dates` from 1970 to now; other dates are for the default partition."""
    if connection.vendor != "postgresql":
        return
    now = datetime.now(timezone.utc)
    utc = [date.astimezone(timezone.utc) for date in dates]
    for month in sorted({(date.year, date.month) for date in utc}):
        if EARLIEST <= month <= (now.year, now.month):
            _make_one(connection, *month)


def _make_one(connection: Any, year: int, month: int) -> None:
    name = f"activity_{year:04}_{month:02}"
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    bounds = {"start": _start(year, month), "end": _start(*after)}
    give_up = time.monotonic() + LOCK_BUDGET_SECONDS
    while not _is_there(connection, name):
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '100ms'")
                cursor.execute(LOCK)
                # A writer may have been faster.
                cursor.execute(_EXISTS, [name])
                if not cursor.fetchone()[0]:
                    cursor.execute(_WAITING.format(most=MOVED_ROWS_MAX, **bounds))
                    if cursor.fetchone()[0] == MOVED_ROWS_MAX:
                        return
                    cursor.execute(_MAKE.format(name=name, columns=_COLUMNS, **bounds))
        except OperationalError:
            # A lock that somebody holds longer than others should wait for.
            if time.monotonic() > give_up:
                raise
            time.sleep(LOCK_PAUSE_SECONDS * random.uniform(1, 2))


def _is_there(connection: Any, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_EXISTS, [name])
        return bool(cursor.fetchone()[0])


def _start(year: int, month: int) -> str:
    return f"'{year:04}-{month:02}-01 00:00:00+00'"
