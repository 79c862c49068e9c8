"""The models over the tables that Djaffar makes: fields, relations, and what deletes nothing."""

from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.db.models import Count, Exists, F, Max, OuterRef, Subquery
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from djaffar.models import Activity, SessionInfo

DATE = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=timezone.utc)


def session(key, days=1):
    return Session.objects.create(session_key=key, session_data="", expire_date=now() + timedelta(days=days))


class Models(TestCase):
    def setUp(self):
        self.zoe = get_user_model().objects.create_user("zoe", email="zoe@site.example")
        self.ann = get_user_model().objects.create_user("ann")
        self.session = session("k" * 32)
        self.row = self.activity(user=self.zoe, session=self.session, ip_address="192.0.2.7", referer="from")
        self.other = self.activity(user=self.ann, minutes=1)
        self.nobodys = self.activity(minutes=2, path="nobody's")
        SessionInfo.objects.create(session=self.session, user_agent="A browser")

    def activity(self, minutes=0, path="a path", **fields):
        return Activity.objects.create(date=DATE + timedelta(minutes=minutes), path=path, **fields)

    def assert_rows(self, queryset, *rows):
        self.assertEqual(sorted(row.pk for row in queryset), sorted(row.pk for row in rows))

    def test_a_row_is_what_the_original_had(self):
        row = Activity.objects.get(date=DATE, pk=self.row.pk)
        self.assertEqual((row.user, row.user_id, row.session, row.session_id), (self.zoe, self.zoe.pk, self.session, "k" * 32))
        self.assertEqual((row.ip_address, row.date, row.path, row.referer), ("192.0.2.7", DATE, "a path", "from"))
        self.assertEqual(str(row), f"zoe, {'k' * 32}, 192.0.2.7, {DATE}, a path, from")
        self.assertEqual(str(Activity.objects.get(path="nobody's")), f"ANONYMOUS, NOSESSION, , {DATE + timedelta(minutes=2)}, nobody's, ")
        info = SessionInfo.objects.get()
        self.assertEqual((info.pk, info.session, info.user_agent, str(info)), ("k" * 32, self.session, "A browser", f"SessionInfo object ({'k' * 32})"))
        self.assertEqual([field.name for field in Activity._meta.fields], ["id", "user", "session", "ip_address", "date", "path", "referer", "received_at"])

    def test_the_relations_both_ways(self):
        self.assert_rows(self.zoe.activity_set.all(), self.row)
        self.assert_rows(self.session.activity_set.all(), self.row)
        self.assertEqual(self.session.sessioninfo_set.get().user_agent, "A browser")
        users = get_user_model().objects
        self.assertEqual(users.get(activity__path="a path", activity__ip_address="192.0.2.7"), self.zoe)
        self.assertEqual(Session.objects.get(activity__user=self.zoe), self.session)
        self.assertEqual(Session.objects.get(sessioninfo__user_agent="A browser"), self.session)
        with self.assertNumQueries(2):
            found = {user: list(user.activity_set.all()) for user in users.prefetch_related("activity_set")}
        self.assertEqual(found, {self.zoe: [self.row], self.ann: [self.other]})
        with self.assertNumQueries(1):
            found = {row.pk: row.user for row in Activity.objects.select_related("user", "session")}
        self.assertEqual(found, {self.row.pk: self.zoe, self.other.pk: self.ann, self.nobodys.pk: None})
        with self.assertNumQueries(2):
            self.assertEqual({row.pk: row.user for row in Activity.objects.prefetch_related("user")}, found)
        made = self.zoe.activity_set.create(date=DATE, path="made")
        self.assertEqual(Activity.objects.get(path="made").user, self.zoe)
        self.assertEqual(made.user_id, self.zoe.pk)

    def test_every_way_to_ask_for_a_user(self):
        rows, key = Activity.objects, self.zoe.pk
        name = get_user_model()._meta.pk.name
        for asked in (
            {"user": self.zoe}, {"user": key}, {"user": str(key)}, {"user_id": key}, {"user__pk": key}, {f"user__{name}": key},
            {"user__in": [self.zoe]}, {"user_id__in": [key]}, {"user__pk__in": [key]}, {"user__username": "zoe"},
            {"user__in": get_user_model().objects.filter(username="zoe")},
            {"user__in": get_user_model().objects.filter(username="zoe").values("pk")},
            {"user__in": rows.filter(session=self.session).values("user")},
            {"user": Subquery(get_user_model().objects.filter(username="zoe").values("pk")[:1])},
            {"user": get_user_model().objects.filter(username="zoe").values("pk")[:1]},
        ):  # fmt: skip
            with self.subTest(asked):
                self.assert_rows(rows.filter(**asked), self.row)
                self.assert_rows(rows.exclude(**asked), self.other, self.nobodys)
        self.assert_rows(rows.filter(user=None), self.nobodys)
        self.assert_rows(rows.filter(user__isnull=False), self.row, self.other)
        self.assert_rows(rows.filter(user=F("user")), self.row, self.other)
        self.assert_rows(rows.filter(user=F("user__pk")), self.row, self.other)

    def test_a_user_is_asked_for_the_activities(self):
        users = get_user_model().objects
        of_user = Activity.objects.filter(user=OuterRef("pk"))
        self.assertEqual(set(users.filter(Exists(of_user))), {self.zoe, self.ann})
        self.assertEqual(users.get(Exists(of_user.filter(session=self.session))), self.zoe)
        self.assertEqual(users.get(pk__in=Activity.objects.filter(session=self.session).values("user")), self.zoe)
        self.assertEqual(set(users.exclude(activity__ip_address="192.0.2.7")), {self.ann})
        self.activity(user=self.zoe, minutes=9)
        self.assertEqual(dict(users.annotate(count=Count("activity")).values_list("username", "count")), {"zoe": 2, "ann": 1})
        last = Subquery(of_user.order_by("-date").values("date")[:1])
        self.assertEqual(users.annotate(last=last).get(username="zoe").last, DATE + timedelta(minutes=9))

    def test_counts_and_values(self):
        self.activity(user=self.zoe, minutes=9)
        rows = Activity.objects
        counts = {row["user"]: row["count"] for row in rows.values("user").annotate(count=Count("pk"))}
        self.assertEqual(counts, {self.zoe.pk: 2, self.ann.pk: 1, None: 1})
        by_name = {row["user__username"]: row["count"] for row in rows.values("user__username").annotate(count=Count("pk"))}
        self.assertEqual(by_name, {"zoe": 2, "ann": 1, None: 1})
        keys = {self.zoe.pk, self.ann.pk, None}
        for values in (rows.values_list("user", flat=True), rows.values_list("user_id", flat=True), rows.values_list("user__pk", flat=True)):
            self.assertEqual(set(values), keys)
            self.assertEqual(sorted(map(str, values.order_by("user_id").distinct())), sorted(map(str, keys)))
        self.assertEqual(rows.aggregate(last=Max("date"), users=Count("user", distinct=True)), {"last": DATE + timedelta(minutes=9), "users": 2})
        both = rows.filter(user=self.zoe).values("user").union(rows.filter(user=self.ann).values("user"))
        self.assertEqual({row["user"] for row in both}, {self.zoe.pk, self.ann.pk})

    def test_changes(self):
        self.assertEqual(Activity.objects.filter(path="nobody's").update(user=self.zoe), 1)
        self.assertEqual(Activity.objects.get(path="nobody's").user, self.zoe)
        Activity.objects.bulk_create([Activity(date=DATE, path="bulk", user=self.ann) for _ in range(3)])
        self.assertEqual(self.ann.activity_set.filter(path="bulk").count(), 3)
        self.row.referer = "changed"
        self.row.save()
        self.assertEqual(Activity.objects.get(date=DATE, pk=self.row.pk).referer, "changed")
        self.assertEqual(Activity.objects.filter(user__username="ann").delete()[0], 4)

    def test_a_key_that_no_user_of_the_site_can_have(self):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE activity SET user_id = 'some other\n' WHERE path = 'nobody''s'")
        row = Activity.objects.get(path="nobody's")
        self.assertEqual(row.user_id, "some other\n")
        if get_user_model()._meta.pk.get_internal_type() == "CharField":
            with self.assertRaises(get_user_model().DoesNotExist):
                row.user
        else:
            self.assertIsNone(row.user)
        self.assertTrue(str(row).startswith("ANONYMOUS, "))
        self.assert_rows(Activity.objects.prefetch_related("user"), self.row, self.other, row)
        self.assert_rows(Activity.objects.select_related("user"), self.row, self.other, row)
        self.assertEqual(Activity.objects.filter(user__username__gt="").count(), 2)

    def test_nothing_is_deleted_with_a_session_or_a_user(self):
        self.client.force_login(self.zoe)
        live = Session.objects.get(pk=self.client.session.session_key)
        old = session("o" * 32, days=-1)
        for number, of in enumerate((live, old), start=10):
            self.activity(user=self.zoe, session=of, minutes=number)
            SessionInfo.objects.create(session=of, user_agent="A browser")
        before = Activity.objects.count(), SessionInfo.objects.count()
        self.client.logout()
        call_command("clearsessions")
        self.assertEqual(list(Session.objects.all()), [self.session])
        self.session.delete()
        self.zoe.delete()
        self.assertEqual((Activity.objects.count(), SessionInfo.objects.count()), before)
        row = Activity.objects.get(date=DATE, pk=self.row.pk)
        self.assertTrue(str(row).startswith("ANONYMOUS, NOSESSION, "))

    def test_deleting_a_user_asks_nothing_of_the_rows(self):
        with CaptureQueriesContext(connection) as asked:
            get_user_model().objects.filter(username="zoe").delete()
            self.session.delete()
        self.assertTrue(asked.captured_queries)
        self.assertEqual([query["sql"] for query in asked.captured_queries if "activity" in query["sql"] or "session_info" in query["sql"]], [])

    def test_no_migration_is_missing(self):
        call_command("makemigrations", "djaffar", check=True, dry_run=True, verbosity=0)
