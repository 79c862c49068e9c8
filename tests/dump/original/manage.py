"""django-djaffar 0.1.10 itself, from PyPI, over the SQLite file that $DUMP_DATABASE names.

Its models were written for Django 1.8 to 1.10, where a foreign key did not say what happens on
deletion; that is all that must be told to today's Django. `fill` makes the tables and rows of it.
"""

import os
import sys

sys.dont_write_bytecode = True

from django.conf import settings
from django.db import models

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "djaffar"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DUMP_DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    TIME_ZONE="Europe/Berlin",
    USE_TZ=os.environ.get("DUMP_USE_TZ") != "no",
    SILENCED_SYSTEM_CHECKS=["fields.W342"],
)

todays = models.ForeignKey.__init__
models.ForeignKey.__init__ = lambda self, to, on_delete=models.CASCADE, **rest: todays(self, to, on_delete, **rest)

TEXTS = [
    "users/me/cart/",
    '"quoted", \'single\' and back\\slash',
    "tabs\tand\nlines\r\n",
    "emoji 😀👩‍👩‍👧 and e\u0301, שלום",
    "=cmd|' /C calc'!A0",
    "\u2028 <script>",
]
DATES = [
    "2016-12-29T07:35:22.571123",
    "2016-12-29T07:35:22",
    "2016-12-29T07:35:22.000001",
    "1999-12-31T23:59:59.999999",
    "0001-01-02T00:00:00",
    "9999-12-30T23:59:59.999999",
]
ADDRESSES = ["192.0.2.7", "2001:db8::1", "10.0.0.1"]


def fill():
    import django

    django.setup()
    from datetime import datetime, timezone

    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from djaffar.models import Activity, SessionInfo

    call_command("migrate", verbosity=0)
    zone = timezone.utc if settings.USE_TZ else None
    users = [User.objects.create(username=name) for name in ("anna", "bert", "cleo")]
    expires = datetime(2030, 1, 1, tzinfo=zone)
    sessions = [
        Session.objects.create(session_key=f"{number:032x}", session_data="", expire_date=expires)
        for number in (3, 1, 2)
    ]
    for session, text in zip(sessions, TEXTS):
        SessionInfo.objects.create(session=session, user_agent=text)
    for number in range(60):
        Activity.objects.create(
            user=[*users, None][number % 4],
            session=[*sessions, None][number % 4 if number % 8 else 3],
            ip_address=ADDRESSES[number % 3],
            date=datetime.fromisoformat(DATES[number % 6]).replace(tzinfo=zone),
            path=TEXTS[number // 6 % 6],
            referer=TEXTS[number % 6] if number % 5 else "",
        )


if sys.argv[1] == "fill":
    fill()
else:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
