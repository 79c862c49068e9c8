"""A table with many rows, and how much of it the database reads."""

import json
from contextlib import contextmanager
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

ROWS = 200_000
USERS = 1_000
# What reading all rows would take is more than twice as much, in pages of Postgres or thousands of SQLite's steps.
READ_MAX = 350

_FILL = {
    "postgresql": """
        INSERT INTO activity (id, date, received_at, session_id, user_id, ip_address, path, referer)
        SELECT md5(n::text)::uuid, %s::timestamptz + n * interval '150 seconds', now(), md5((n / 20)::text), text,
            '192.0.2.1', '/page/' || n, 'https://site.example/from/somewhere/else'
        FROM generate_series(1, %s) AS n LEFT JOIN chosen ON number = n %% 4000""",
    "sqlite": """
        INSERT INTO activity (id, date, received_at, session_id, user_id, ip_address, path, referer)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)
        SELECT printf('%%032x', n * 7919), strftime('%%Y-%%m-%%d %%H:%%M:%%S', %s, (n * 150) || ' seconds'),
            '2026-01-01 00:00:00', printf('%%032x', n / 20), text, '192.0.2.1', '/page/' || n, 'https://site.example/from'
        FROM numbers LEFT JOIN chosen ON number = n %% 4000""",
}


def fill():
    """A year of rows up to now, a quarter of them of users: 200 of each."""
    start = now() - timedelta(seconds=150 * (ROWS + 100))
    get_user_model().objects.bulk_create([get_user_model()(username=f"user {number}", email="") for number in range(USERS)])
    keys = list(get_user_model().objects.filter(username__startswith="user ").order_by("username").values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE chosen (number integer PRIMARY KEY, text text)")
        cursor.executemany("INSERT INTO chosen VALUES (%s, %s)", [(number, str(key)) for number, key in enumerate(keys)])
        if connection.vendor == "postgresql":
            cursor.execute(_FILL["postgresql"], [start, ROWS])
        else:
            cursor.execute(_FILL["sqlite"], [ROWS, start.strftime("%Y-%m-%d %H:%M:%S")])
        cursor.execute("DROP TABLE chosen")
        cursor.execute("ANALYZE")


class Read:
    """What was read: pages of tables and indexes, or thousands of the steps of SQLite's machine; and the queries."""

    def __init__(self):
        self.amount = 0
        self.queries = []

    def __str__(self):
        return f"{self.amount} for\n" + "\n".join(self.queries)


@contextmanager
def reading():
    read = Read()
    if connection.vendor == "sqlite":

        def step():
            read.amount += 1

        connection.ensure_connection()
        connection.connection.set_progress_handler(step, 1000)
    try:
        with CaptureQueriesContext(connection) as captured:
            yield read
    finally:
        if connection.vendor == "sqlite":
            connection.connection.set_progress_handler(None, 0)
    read.queries = [query["sql"] for query in captured.captured_queries]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for sql in read.queries:
                if sql.startswith("SELECT"):
                    cursor.execute("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql.replace("%", "%%"), [])
                    plan = cursor.fetchone()[0]
                    plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
                    read.amount += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
