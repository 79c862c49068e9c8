"""The pages of the admin site: what they show, and that they read little of a large table."""

from datetime import datetime, timedelta, timezone
from unittest.mock import patch
from urllib.parse import quote

import django
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils.timezone import now

from djaffar import address, admin, search
from djaffar.models import Activity, SessionInfo

from .many_rows import READ_MAX, ROWS, fill, reading

LIST = "/admin/djaffar/activity/"
DATE = datetime(2026, 11, 25, 22, 30, 15, 123456, tzinfo=timezone.utc)
KEY = "abcdefghijklmnopqrstuvwx12345678"


class Pages(TestCase):
    def setUp(self):
        self.zoe = get_user_model().objects.create_superuser("zoe", "zoe@site.example")
        self.client.force_login(self.zoe)

    def rows(self, **chosen):
        response = self.client.get(LIST, chosen)
        self.assertEqual(response.status_code, 200, response)
        return [row.path for row in response.context["cl"].result_list]

    def links(self, **chosen):
        shown = next(context for context in self.page(**chosen).context if "choices" in context and "show" in context)
        return [choice["title"] for choice in shown["choices"]]

    def page(self, **chosen):
        return self.client.get(LIST, chosen)


class Shown(Pages):
    def setUp(self):
        super().setUp()
        session = Session.objects.create(session_key=KEY, session_data="", expire_date=DATE)
        SessionInfo.objects.create(session=session, user_agent="A <browser>")
        self.row = Activity.objects.create(
            date=DATE, user=self.zoe, session=session, ip_address="192.0.2.7", path="/a/<b>/", referer="javascript:alert(1)"
        )
        Activity.objects.create(date=DATE - timedelta(days=400), path="/old/", session_id="gone" * 8, ip_address="2001:db8::1")
        Activity.objects.create(date=DATE + timedelta(seconds=1), path="/100%/", referer="")

    def test_the_list(self):
        page = self.page()
        self.assertContains(page, "2026-11-25 23:30:15.123")
        self.assertContains(page, "…\u206012345678")
        self.assertContains(page, "/a/&lt;b&gt;/")
        self.assertContains(page, "3 activities")
        self.assertNotContains(page, KEY)
        self.assertNotContains(page, "<b>")
        self.assertNotContains(page, 'href="javascript')
        self.assertNotContains(page, 'name="action"')
        self.assertEqual(self.rows(), ["/100%/", "/a/<b>/", "/old/"])
        Activity.objects.filter(path="/100%/").update(path="x" * 1000)
        self.assertContains(self.page(), "x" * 59 + "…<")

    def test_filters(self):
        for chosen, rows in (
            ({"visitor": "user"}, ["/a/<b>/"]),
            ({"visitor": "nobody"}, ["/100%/", "/old/"]),
            ({"visitor": "else"}, ["/100%/", "/a/<b>/", "/old/"]),
            ({"user": self.zoe.pk}, ["/a/<b>/"]),
            ({"user": "no such"}, []),
            ({"session_of": address.of(self.row)}, ["/a/<b>/"]),
            ({"session_of": "no such"}, []),
            ({"date__year": 2026}, ["/100%/", "/a/<b>/"]),
            ({"date__year": 2025, "date__month": 10, "date__day": 22}, ["/old/"]),
            ({"date__gte": "2026-11-25 23:30:16+01:00"}, ["/100%/"]),
        ):
            with self.subTest(chosen):
                self.assertEqual(self.rows(**chosen), rows)

    def test_search(self):
        for term, rows in (
            ("zoe", ["/a/<b>/"]),
            (KEY, ["/a/<b>/"]),
            (KEY[-8:], []),
            ("192.0.2.7", ["/a/<b>/"]),
            ("2001:DB8:0::1", ["/old/"]),
            ("A/<", ["/a/<b>/"]),
            ("%", ["/100%/"]),
            ("_", []),
            (" old ", ["/old/"]),
            ("a\0b", []),
            ("' OR 1=1 --", []),
        ):
            with self.subTest(term):
                if "\0" in term and len(self.page(q=term).context["cl"].query) == 0:
                    continue
                self.assertEqual(self.rows(q=term), rows)
        with patch.object(search, "SEARCHED_MAX", 2):
            self.assertEqual(self.rows(q="old"), [], "beyond the latest")
            self.assertEqual(self.rows(q="old", date__year=2025), ["/old/"])
            self.assertEqual(self.rows(visitor="nobody"), ["/100%/"])

    def test_dates(self):
        self.assert_dates()
        with patch.object(admin, "LISTED_MAX", 1), patch.object(admin.ActivityList, "is_cut", True):
            self.assert_dates()
        Activity.objects.all().delete()
        self.assertEqual(self.links(), [])
        self.assertEqual(self.links(date__year=2026), [])

    def assert_dates(self):
        self.assertEqual(self.links(), ["2025", "2026"])
        self.assertEqual(self.links(date__year=2025), ["October 2025"])
        self.assertEqual(self.links(date__year=2026, date__month=11), ["November 25"])
        self.assertEqual(self.links(date__year=2026, date__month=11, date__day=25), ["November 25"])
        self.assertEqual(self.links(user=self.zoe.pk), ["2026"])

    def test_wild_dates(self):
        for year in (1, 9999):
            Activity.objects.create(date=datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, 0, 30, tzinfo=timezone.utc), path=f"/{year}/")
        for zone in ("Europe/Paris", "America/New_York", "Asia/Tokyo"):
            with self.subTest(zone), override_settings(TIME_ZONE=zone):
                self.assertEqual(len(self.rows()), 5)
                self.assertContains(self.page(), "0001-01-01" if zone != "America/New_York" else "0001-01-01 00:30:00+00:00")

    def test_a_page_of_one_row(self):
        link = reverse("admin:djaffar_activity_change", args=[address.of(self.row)])
        self.assertContains(self.page(), f'href="{link}')
        page = self.client.get(link)
        for shown in ("2026-11-25 23:30:15.123", "zoe", "…\u206012345678", "A &lt;browser&gt;", "192.0.2.7", "/a/&lt;b&gt;/", str(self.row.pk)):
            self.assertContains(page, shown)
        for hidden in (KEY, "<browser>", "<b>", 'href="javascript', 'name="_save"', "Delete", "History"):
            self.assertNotContains(page, hidden)
        for wrong in (str(self.row.pk), f"0-{self.row.pk.hex}", "9" * 18 + "-" + "0" * 32, "x"):
            self.assertRedirects(self.client.get(f"{LIST}{wrong}/change/"), "/admin/")

    def test_nothing_can_be_changed(self):
        row = f"{LIST}{address.of(self.row)}"
        for url in (f"{LIST}add/", f"{row}/delete/"):
            self.assertEqual(self.client.get(url).status_code, 403, url)
            self.assertEqual(self.client.post(url, {"post": "yes"}).status_code, 403, url)
        self.assertEqual(self.client.post(f"{row}/change/", {"path": "x"}).status_code, 403)
        self.client.post(LIST, {"action": "delete_selected", "_selected_action": str(self.row.pk), "post": "yes"})
        self.assertEqual(Activity.objects.count(), 3)

    def test_columns_without_an_index_are_no_filters(self):
        for column in ("path", "path__contains", "ip_address", "session", "session__session_data", "user__password"):
            self.assertEqual(self.client.get(LIST, {column: "x"}).status_code, 400, column)

    def test_who_may_look(self):
        self.client.force_login(get_user_model().objects.create_user("staff", is_staff=True))
        for url in (LIST, f"{LIST}{address.of(self.row)}/change/"):
            self.assertEqual(self.client.get(url).status_code, 403)

    def test_the_end_of_the_list_says_that_there_is_more(self):
        self.assertNotContains(self.page(), "Only the latest")
        with patch.object(admin, "LISTED_MAX", 2):
            self.assertContains(self.page(), "Only the latest")


class ManyRows(Pages):
    @classmethod
    def setUpTestData(cls):
        fill()
        cls.user = get_user_model().objects.get(username="user 5")

    def setUp(self):
        super().setUp()
        for module, limit in ((admin, "LISTED_MAX"), (search, "SEARCHED_MAX")):
            patched = patch.object(module, limit, 200)
            patched.start()
            self.addCleanup(patched.stop)

    def assert_reads_little(self, url, rows=None, most=2 * READ_MAX):
        with self.subTest(url):
            with reading() as read:
                page = self.client.get(url)
            self.assertEqual(page.status_code, 200)
            if rows is not None:
                self.assertEqual(len(page.context["cl"].result_list), rows)
            self.assertLess(read.amount, most, read)
            self.assertLess(len(read.queries), 16, read)

    def test_no_page_reads_the_table(self):
        month = (now() - timedelta(days=60)).strftime("date__year=%Y&date__month=") + str((now() - timedelta(days=60)).month)
        year = (now() - timedelta(days=60)).year
        row = Activity.objects.order_by("date", "id")[ROWS // 2]
        for query, rows in (
            ("", 100),
            ("p=2", 100),
            (f"date__year={year}", 100),
            (month, 100),
            (f"{month}&date__day=3", 100),
            (f"date__gte={quote(str(now() - timedelta(days=7)))}&date__lt={quote(str(now()))}", 100),
            (f"user={quote(str(self.user.pk))}", 50),
            ("q=user%205", 50),
            (f"session_of={address.of(row)}", 20),
            ("visitor=user", None),
            ("visitor=nobody", None),
            ("q=nowhere", 0),
            ("q=198.51.100.1", 0),
            (f"q=nowhere&{month}", 0),
            ("o=1&o=4.5", 100),
            *([("_facets=True", 100)] if django.VERSION >= (5, 0) else []),
        ):
            self.assert_reads_little(f"{LIST}?{query}", rows)
        self.assert_reads_little(f"{LIST}{address.of(row)}/change/")

    def test_somebody_who_has_been_away_for_long(self):
        oldest = Activity.objects.order_by("date", "id").values_list("date", flat=True)[4000]
        Activity.objects.filter(date__lt=oldest).update(user=self.user)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        with patch.object(admin, "LISTED_MAX", 10_000):
            # All of the user's rows, four times. Where Postgres takes them one by one from the index it counts a page for
            # each: 17,000 at most. All that came after them would be 200,000.
            most = (60 if connection.vendor == "postgresql" else 6) * READ_MAX
            for query in (f"user={quote(str(self.user.pk))}", "q=user%205"):
                self.assert_reads_little(f"{LIST}?{query}", 100, most=most)
