"""Django's commands over the SQLite file that $DUMP_DATABASE names; `insert` fills it from stdin."""

import json
import os
import sys

sys.dont_write_bytecode = True

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.utils.dateparse import parse_datetime

settings.configure(
    INSTALLED_APPS=["djaffar"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DUMP_DATABASE"]}},
    USE_TZ=True,
)


def insert():
    django.setup()
    from djaffar.models import Activity, SessionInfo

    rows = json.load(sys.stdin)
    for row in rows["activities"]:
        row["date"] = parse_datetime(row["date"])
        Activity.objects.create(received_at=row["date"], **row)
    for row in rows["session_infos"]:
        SessionInfo.objects.create(first_seen=parse_datetime("2016-12-29T07:35:22Z"), **row)


if sys.argv[1] == "insert":
    insert()
else:
    execute_from_command_line(sys.argv)
