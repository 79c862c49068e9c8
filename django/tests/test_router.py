"""Rows in a database of their own, beside that of the site."""

import tempfile
from datetime import datetime, timezone

from django.contrib.auth import get_user_model
from django.db import connection, connections, router
from django.test import TestCase
from django.test.utils import override_settings

from djaffar.models import Activity, SessionInfo

from .databases import database
from .runner import djaffar

DATE = datetime(2026, 11, 25, 8, 30, tzinfo=timezone.utc)


@override_settings(DATABASE_ROUTERS=["djaffar.router.Rows"], DJAFFAR_DATABASE="rows")
class Apart(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        url = f"sqlite:{cls.directory.name}/rows.sqlite3"
        djaffar("migrate", url=url)
        connections.databases["rows"] = {**connections.databases["default"], **database(url)}
        # Not before: the runner would look for it.
        cls.databases = {"default", "rows"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        connections["rows"].close()
        del connections["rows"]
        del connections.databases["rows"]
        cls.directory.cleanup()

    def counts(self):
        def count(held):
            with held.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM activity")
                return cursor.fetchone()[0]

        return count(connection), count(connections["rows"])

    def test_rows_and_users_find_each_other(self):
        zoe = get_user_model().objects.create_user("zoe")
        row = Activity.objects.create(user=zoe, date=DATE, path="apart")
        self.assertEqual((row._state.db, self.counts()), ("rows", (0, 1)))
        found = Activity.objects.get(user=zoe)
        self.assertEqual((found, found.user, found.user._state.db), (row, zoe, "default"))
        self.assertEqual(list(zoe.activity_set.all()), [row])
        self.assertEqual([activity.user for activity in Activity.objects.prefetch_related("user")], [zoe])
        zoe.delete()
        self.assertEqual(self.counts(), (0, 1))

    def test_the_tables_belong_to_the_database_of_the_rows(self):
        for model in (Activity, SessionInfo):
            self.assertEqual([router.allow_migrate_model(alias, model) for alias in ("default", "rows")], [False, True])
        self.assertTrue(router.allow_migrate_model("default", get_user_model()))
