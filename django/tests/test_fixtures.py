"""`dumpdata` prints what `djaffar dump` prints, and `loaddata` takes it back."""

import io
import tempfile
from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import TransactionTestCase

from djaffar.models import Activity, SessionInfo

from .runner import djaffar

TEXTS = ("/é/😀/", '"quoted" \\ <b>', "line\u2028 tab\t", "null")
FIRST = datetime(2016, 12, 29, 7, 35, 22, 571999, tzinfo=timezone.utc)
USER_TYPES = {"AutoField": "int", "UUIDField": "uuid", "CharField": "text"}


class Fixtures(TransactionTestCase):
    """What another process is to see must be committed."""

    def setUp(self):
        users = [get_user_model().objects.create(username=name, email=name) for name in ("zoe", "ann")]
        for number in range(40):
            key = f"{number % 7:032x}" if number % 4 else None
            SessionInfo.objects.get_or_create(session_id=key or "0" * 40, defaults={"user_agent": TEXTS[number % 4]})
            Activity.objects.create(
                date=FIRST + timedelta(days=number * 11, microseconds=number % 3 * -571999),
                user=[*users, None][number % 3],
                session_id=key,
                ip_address="192.0.2.7" if number % 5 else None,
                path=TEXTS[number % 4],
                referer=TEXTS[number % 3] if number % 2 else "",
            )
        self.addCleanup(Activity.objects.all().delete)
        self.addCleanup(SessionInfo.objects.all().delete)

    def dumped(self, model, indent):
        printed = io.StringIO()
        call_command("dumpdata", f"djaffar.{model}", indent=indent, stdout=printed)
        return printed.getvalue()

    def djaffars(self, model, indent):
        user_type = USER_TYPES[get_user_model()._meta.pk.get_internal_type()]
        arguments = ["dump", model.lower(), "--user-type", user_type]
        return djaffar(*arguments, *(["--indent", str(indent)] if indent else []))

    def test_both_print_the_same_bytes(self):
        for model in ("Activity", "SessionInfo"):
            for indent in (None, 2):
                with self.subTest(model, indent=indent):
                    printed = self.dumped(model, indent)
                    self.assertEqual(printed.rstrip("\n"), self.djaffars(model, indent).rstrip("\n"))
                    self.assertEqual(printed.count('"model"'), 40 if model == "Activity" else 8)

    def test_what_is_loaded_is_what_was_dumped(self):
        dumped = {model: self.dumped(model, 2) for model in ("Activity", "SessionInfo")}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            call_command("dumpdata", "djaffar", output=file.name)
            Activity.objects.all().delete()
            SessionInfo.objects.all().delete()
            for _ in range(2):
                call_command("loaddata", file.name, verbosity=0)
        self.assertEqual({model: self.dumped(model, 2) for model in dumped}, dumped)
        self.assertEqual(Session.objects.count(), 0, "they are of sessions that are long gone")
