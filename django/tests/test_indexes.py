"""Queries of the models are answered from indexes, on tables with many rows."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, OuterRef
from django.test import TestCase
from django.utils.timezone import now

from djaffar.models import Activity

from .many_rows import READ_MAX, ROWS, fill, reading


class Indexes(TestCase):
    @classmethod
    def setUpTestData(cls):
        fill()
        cls.user = get_user_model().objects.get(username="user 5")
        cls.session = Activity.objects.filter(user=cls.user).values_list("session", flat=True)[0]

    def assert_reads_little(self, ask, rows):
        with reading() as read:
            found = ask()
            found = found if isinstance(found, int) else len(list(found))
        self.assertEqual(found, rows)
        self.assertLess(read.amount, READ_MAX, read)
        return read

    def test_reading_all_would_be_noticed(self):
        with reading() as read:
            self.assertEqual(Activity.objects.filter(path__contains="nowhere").count(), 0)
        self.assertGreater(read.amount, 2 * READ_MAX, read)
        self.assertEqual(Activity.objects.count(), ROWS)

    def test_those_of_a_user(self):
        of_user = ROWS // 4000
        for ask in (
            lambda: Activity.objects.filter(user=self.user).count(),
            lambda: self.user.activity_set.all(),
            lambda: Activity.objects.filter(user__username="user 5"),
            lambda: Activity.objects.filter(user__in=[self.user.pk, self.user.pk]),
            lambda: Activity.objects.filter(user__in=get_user_model().objects.filter(username="user 5")),
            lambda: get_user_model().objects.filter(username="user 5", activity__path__contains="page"),
            lambda: Activity.objects.filter(user=self.user, date__gte=now() - timedelta(days=5000)),
        ):
            self.assert_reads_little(ask, of_user)

    def test_users_of_rows(self):
        users = get_user_model().objects.filter(username__in=["user 5", "user 6"])
        with_rows = users.filter(Exists(Activity.objects.filter(user=OuterRef("pk"))))
        self.assert_reads_little(lambda: with_rows, 2)
        self.assert_reads_little(lambda: users.annotate(count=Count("activity")), 2)
        latest = Activity.objects.order_by("-date", "-id")
        self.assert_reads_little(lambda: latest.select_related("user", "session")[:100], 100)
        read = self.assert_reads_little(lambda: latest.prefetch_related("user")[:100], 100)
        self.assertEqual(len(read.queries), 2)

    def test_those_of_a_time(self):
        day = now() - timedelta(days=30)
        for ask in (
            lambda: Activity.objects.filter(date__gte=day, date__lt=day + timedelta(hours=1)),
            lambda: Activity.objects.filter(date__range=(day, day + timedelta(minutes=59, seconds=59))),
        ):
            self.assert_reads_little(ask, 24)
        self.assert_reads_little(lambda: Activity.objects.filter(user=self.user, date__gte=now() - timedelta(days=365 * 9)), 50)
        self.assert_reads_little(lambda: Activity.objects.order_by("date", "id")[:50], 50)

    def test_the_way_of_a_session(self):
        read = self.assert_reads_little(lambda: Activity.objects.filter(session=self.session).order_by("date"), 20)
        self.assertNotIn("JOIN", read.queries[0])

    def test_one_row_by_date_and_id(self):
        row = Activity.objects.order_by("date", "id")[ROWS // 2]
        self.assert_reads_little(lambda: [Activity.objects.get(date=row.date, pk=row.pk)], 1)
        row.referer = "changed"
        self.assert_reads_little(lambda: row.save() or 1, 1)
