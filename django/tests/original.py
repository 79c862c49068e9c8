"""django-djaffar 0.1.10 itself, from PyPI, over the database that $ORIGINAL_DATABASE names: `fill`, or Django's commands.

Its models were written for Django 1.8 to 1.10, where a foreign key did not say what happens on deletion; that is all
that must be told to today's Django.
"""

import os
import sys

sys.dont_write_bytecode = True
# The folder of this file has other packages of the tests.
sys.path.pop(0)

from django.conf import settings
from django.db import models

sys.path.append(os.path.dirname(__file__))
from databases import database

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "djaffar"],
    DATABASES={"default": database(os.environ["ORIGINAL_DATABASE"])},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SILENCED_SYSTEM_CHECKS=["fields.W342"],
    USE_TZ=True,
)
todays = models.ForeignKey.__init__
models.ForeignKey.__init__ = lambda self, to, on_delete=models.CASCADE, **rest: todays(self, to, on_delete, **rest)

ROWS = 250


def fill():
    import django

    django.setup()
    from datetime import datetime, timedelta, timezone

    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from djaffar.models import Activity, SessionInfo

    call_command("migrate", verbosity=0)
    users = [User.objects.create(username=name) for name in ("anna", "bert")]
    expires = datetime(2030, 1, 1, tzinfo=timezone.utc)
    sessions = [Session.objects.create(session_key=f"{number:032x}", session_data="", expire_date=expires) for number in range(7)]
    for session in sessions:
        SessionInfo.objects.create(session=session, user_agent=f"A browser, {session.pk}")
    start = datetime(2016, 12, 24, 10, 25, 0, 571000, tzinfo=timezone.utc)
    Activity.objects.bulk_create(
        Activity(
            user=[*users, None][number % 3],
            session=[*sessions, None][number % 8],
            ip_address=["192.0.2.7", "::ffff:192.0.2.8", ""][number % 3],
            date=start + timedelta(days=number, milliseconds=number * 4000 % 7001),
            path=f"/é/{number}/",
            referer="https://site.example/" if number % 2 else "",
        )
        for number in range(ROWS)
    )


if sys.argv[1] == "fill":
    fill()
else:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
