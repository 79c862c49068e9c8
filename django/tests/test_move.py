"""A site with django-djaffar 0.1.10 takes this app: its own migrations, its own rows, in a database of their own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from django.db import connection
from django.test import SimpleTestCase

from .databases import url_of
from .runner import djaffar

ROWS = 250
HERE = Path(__file__).parent
ORIGINAL = next((HERE.parents[1] / "target/tools/original/lib").glob("python3*/site-packages"), None)

OLD_MONTHS = """
    SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'activity'::regclass AND relname < 'activity_2020'"""
LOG_OUT = """
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from djaffar.models import Activity, SessionInfo
print(Session.objects.all().delete()[0], User.objects.get(username="bert").delete()[0])
print(Activity.objects.count(), SessionInfo.objects.count())
"""


class Move(SimpleTestCase):
    databases = ["default"]

    def setUp(self):
        self.assertIsNotNone(ORIGINAL, "tests/setup installs the original")
        if connection.vendor == "sqlite":
            directory = tempfile.TemporaryDirectory()
            self.addCleanup(directory.cleanup)
            self.url = f"sqlite:{directory.name}/site.sqlite3"
        else:
            name = f"original_{os.getpid()}"
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
            self.addCleanup(self.drop, name)
            self.url = f"{url_of(connection).rsplit('/', 1)[0]}/{name}"
        self.original("fill")
        djaffar("migrate", url=self.url)

    def drop(self, name):
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")

    def run_python(self, path, *arguments, status=0):
        environment = {**os.environ, "ORIGINAL_DATABASE": self.url, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-W", "ignore", *arguments], cwd=HERE.parent, env=environment, capture_output=True, encoding="utf-8")
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr if status else done.stdout

    def original(self, *arguments):
        return self.run_python(ORIGINAL, "tests/original.py", *arguments)

    def manage(self, *arguments, status=0):
        return self.run_python(HERE.parent, "-m", "django", *arguments, "--settings=tests.upgraded", status=status)

    def sql(self, statement):
        """In the site's database; the first value."""
        code = f"from django.db import connection; c = connection.cursor(); c.execute({statement!r}); print(*(c.description and c.fetchone() or []))"
        return self.manage("shell", "-v", "0", "-c", code).strip()

    def rows(self):
        return [json.loads(line) for line in djaffar("dump", "activity", "--format", "ndjson", url=self.url).splitlines()]

    def test_an_upgrade(self):
        fixture = json.loads(self.original("dumpdata", "djaffar.Activity"))
        self.assertEqual(len(fixture), ROWS)
        self.assertIn("0002_free_the_original_tables", self.manage("migrate", "--no-color"))
        self.assertIn("No changes", self.manage("makemigrations", "--check", "--dry-run"))
        self.assertEqual(self.manage("migrate", "--no-color").count("No migrations to apply"), 1)

        self.sql("UPDATE djaffar_activity SET ip_address = 'unknown' WHERE id = 7")
        printed = self.manage("djaffar_move", "--dry-run", status=1)
        self.assertIn(f"activities: {ROWS} read, {ROWS - 1} to copy, 0 there already, 1 refused", printed)
        self.assertIn("djaffar_activity 7: ip_address is no address", printed)
        self.assertEqual(self.rows(), [])
        self.sql("UPDATE djaffar_activity SET ip_address = '192.0.2.7' WHERE id = 7")
        self.assertIn("100 read, 100 copied", self.manage("djaffar_move", "--after", str(ROWS - 100), "--batch-size", "30"))
        # As after an interruption.
        printed = self.manage("djaffar_move", "--batch-size", "40")
        self.assertIn("session infos: 7 read, 0 copied, 7 there already, 0 refused", printed)
        self.assertIn(f"activities: {ROWS} read, {ROWS - 100} copied, 100 there already, 0 refused", printed)

        rows = self.rows()
        self.assertEqual([row["path"] for row in rows], [row["fields"]["path"] for row in fixture])
        for row, old in zip(rows, fixture):
            old = old["fields"]
            self.assertEqual(row["user"], None if old["user"] is None else str(old["user"]))
            self.assertEqual((row["session"], row["referer"]), (old["session"], old["referer"]))
            self.assertEqual(row["date"].replace("000Z", "Z"), old["date"])
            self.assertEqual(row["received_at"], row["date"])
            self.assertEqual(row["ip_address"], old["ip_address"].replace("::ffff:", "") or None)
        infos = [json.loads(line) for line in djaffar("dump", "sessioninfo", "--format", "ndjson", url=self.url).splitlines()]
        self.assertEqual(infos[3]["user_agent"], f"A browser, {3:032x}")
        self.assertEqual(infos[3]["first_seen"], rows[3]["date"])
        if connection.vendor == "postgresql":
            self.assertEqual(self.sql("SELECT count(*) FROM activity_default"), "0")
            self.assertEqual(self.sql(OLD_MONTHS), "9")

        # `djaffar load` takes the fixture for the same rows.
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(fixture, file)
            file.flush()
            djaffar("load", file.name, url=self.url)
        self.assertEqual(self.rows(), rows)

        # Log-outs and deleted users keep working, and take no row with them.
        self.assertEqual(self.manage("shell", "-v", "0", "-c", LOG_OUT).split(), ["7", "1", str(ROWS), "7"])
        self.assertIn(f"0 copied, {ROWS} there already", self.manage("djaffar_move"))
        self.sql("DROP TABLE djaffar_activity")
        self.assertIn("no table djaffar_activity: name another", self.manage("djaffar_move", status=1))
