"""The identity view on every engine of sessions, with and without REST framework."""

from contextlib import contextmanager
from importlib import import_module

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.middleware.csrf import _get_new_csrf_string as csrf_secret
from django.middleware.csrf import _mask_cipher_secret as masked
from django.test import Client, TestCase, modify_settings, override_settings

URL = "/djaffar/identity/"
ENGINES = ("db", "cached_db", "cache", "file")
WITHOUT_REST_FRAMEWORK = modify_settings(INSTALLED_APPS={"remove": ["rest_framework"]})
TOKENS = override_settings(
    DJAFFAR_AUTHENTICATION_CLASSES=[
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
)




def store(key=None):
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


class Site(TestCase):
    def setUp(self):
        self.zoe = get_user_model().objects.create_user("zoe", password="secret")
        self.client = Client(enforce_csrf_checks=True)

    @contextmanager
    def engine(self, name):
        """With a client that has not yet loaded the middleware of another."""
        with self.subTest(name), override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{name}"):
            self.client = Client(enforce_csrf_checks=True)
            yield

    def ask(self, method="get", **headers):
        response = getattr(self.client, method)(URL, **headers)
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        return response

    def log_in(self):
        self.client.force_login(self.zoe)
        return self.client.session.session_key

    def assert_identity(self, user, session, response=None):
        response = self.ask() if response is None else response
        self.assertEqual((response.status_code, response.json()), (200, {"user": user, "session": session}))
        self.assertNotIn(settings.SESSION_COOKIE_NAME, response.cookies)

    def assert_csrf(self):
        self.log_in()
        refused = self.ask("post")
        self.assertEqual(refused.status_code, 403)
        self.assertTrue(refused.json()["detail"].startswith("CSRF Failed: CSRF cookie not set"), refused.json())
        secret = csrf_secret()
        self.client.cookies["csrftoken"] = secret
        self.assertEqual(self.ask("post", HTTP_X_CSRFTOKEN="x" * 32).status_code, 403)
        self.assert_identity(str(self.zoe.pk), self.client.session.session_key, self.ask("post", HTTP_X_CSRFTOKEN=secret))
        self.assertEqual(self.ask("post", HTTP_X_CSRFTOKEN=masked(secret)).status_code, 200)
        foreign = self.ask("post", HTTP_X_CSRFTOKEN=masked(secret), HTTP_ORIGIN="https://foreign.example")
        self.assertEqual(foreign.status_code, 403 if django.VERSION >= (4, 0) else 200)
        self.assertEqual(self.ask("get").status_code, 200, "the browser has proved where it comes from")


@WITHOUT_REST_FRAMEWORK
class IdentityBySession(Site):
    def test_nobody(self):
        for method in ("get", "post"):
            self.assert_identity(None, None, self.ask(method))

    def test_a_user_on_every_engine(self):
        for name in ENGINES:
            with self.engine(name):
                key = self.log_in()
                self.assert_identity(str(self.zoe.pk), key)
                self.client.logout()
                self.assert_identity(None, None)
                self.client.cookies[settings.SESSION_COOKIE_NAME] = key
                self.assert_identity(None, None)

    def test_an_anonymous_session_on_every_engine(self):
        for name in ENGINES:
            with self.engine(name):
                session = store()
                session["basket"] = 1
                session.create()
                self.client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
                self.assert_identity(None, session.session_key)

    def test_a_session_without_a_store_has_no_key(self):
        with self.engine("signed_cookies"):
            self.log_in()
            self.assert_identity(str(self.zoe.pk), None)

    def test_an_expired_session_is_none_and_stays_as_it_is(self):
        for name in ("db", "cached_db", "file"):
            with self.engine(name):
                key = self.log_in()
                session = store(key)
                session.set_expiry(-1)
                session.save()
                self.assert_identity(None, None)
                self.assertTrue(store().exists(key))

    def test_one_who_may_not_log_in_is_nobody(self):
        self.log_in()
        for change in ({"is_active": False}, {"is_active": True, "password": "another"}):
            get_user_model().objects.filter(pk=self.zoe.pk).update(**change)
            self.assertIsNone(self.ask().json()["user"])
        self.zoe.delete()
        self.assertIsNone(self.ask().json()["user"])

    def test_csrf_is_checked_only_when_the_browser_has_proved_nothing(self):
        self.assert_csrf()

    def test_csrf_with_the_secret_in_the_session(self):
        with override_settings(CSRF_USE_SESSIONS=True):
            self.log_in()
            self.assertEqual(self.ask("post").status_code, 403)
            session, secret = self.client.session, csrf_secret()
            session["_csrftoken"] = secret if django.VERSION >= (4, 0) else masked(secret)
            session.save()
            self.assertEqual(self.ask("post", HTTP_X_CSRFTOKEN=masked(secret)).status_code, 200)

    def test_a_rotated_key_does_not_cycle_the_session(self):
        if django.VERSION < (4, 1):
            self.skipTest("this Django knows no fallbacks")
        key = self.log_in()
        with override_settings(SECRET_KEY="the next", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            for _ in range(2):
                self.assert_identity(str(self.zoe.pk), key)

    def test_saving_every_session_does_not_reach_this_view(self):
        with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
            self.assert_identity(None, None)
            key = self.log_in()
            before = store(key).load()
            self.assert_identity(str(self.zoe.pk), key)
            self.assertEqual(store(key).load(), before)
            self.client.cookies[settings.SESSION_COOKIE_NAME] = "0" * 32
            self.assert_identity(None, None)

    def test_the_key_keeps_strangers_out(self):
        self.log_in()
        with override_settings(DJAFFAR_KEY="shared"):
            for wrong in ({}, {"HTTP_DJAFFAR_KEY": ""}, {"HTTP_DJAFFAR_KEY": "sharec"}, {"HTTP_DJAFFAR_KEY": "é"}):
                self.assertEqual(self.ask(**wrong).status_code, 404)
            self.assertEqual(self.ask(HTTP_DJAFFAR_KEY="shared").json()["user"], str(self.zoe.pk))

    def test_other_methods_are_refused(self):
        for method in ("put", "delete", "options", "head"):
            response = self.ask(method)
            self.assertEqual((response.status_code, response.headers["Allow"]), (405, "GET, POST"))

    def test_a_site_that_asks_everybody_to_log_in(self):
        middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        if django.VERSION < (5, 1):
            self.skipTest("this Django has no such middleware")
        with modify_settings(MIDDLEWARE={"append": [middleware]}):
            self.assert_identity(None, None)

    def test_a_site_without_sessions(self):
        with override_settings(MIDDLEWARE=[]):
            self.assert_identity(None, None)

    def test_few_queries(self):
        self.log_in()
        with self.assertNumQueries(3):
            self.ask()


class IdentityByRestFramework(Site):
    def token(self):
        from rest_framework.authtoken.models import Token

        return Token.objects.create(user=self.zoe).key

    def test_the_sessions_of_the_default_classes(self):
        self.assert_identity(None, None)
        key = self.log_in()
        self.assert_identity(str(self.zoe.pk), key)

    def test_csrf_is_checked_only_when_the_browser_has_proved_nothing(self):
        self.assert_csrf()

    def test_a_key_that_rotates_does_not_cycle_the_session(self):
        if django.VERSION < (4, 1):
            self.skipTest("this Django knows no fallbacks")
        key = self.log_in()
        with override_settings(SECRET_KEY="the next", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            for _ in range(2):
                self.assert_identity(str(self.zoe.pk), key)

    @TOKENS
    def test_tokens(self):
        header = f"Token {self.token()}"
        for method in ("get", "post"):
            self.assert_identity(str(self.zoe.pk), None, self.ask(method, HTTP_AUTHORIZATION=header))
        self.assert_refused("Invalid token.", HTTP_AUTHORIZATION="Token " + "0" * 40)
        get_user_model().objects.update(is_active=False)
        self.assert_refused("User inactive or deleted.", HTTP_AUTHORIZATION=header)

    def assert_refused(self, detail, **headers):
        response = self.ask(**headers)
        self.assertEqual((response.status_code, response.json()), (401, {"detail": detail}))
        self.assertEqual(response.headers["WWW-Authenticate"], "Token")

    @TOKENS
    def test_a_token_beside_a_session(self):
        session = self.log_in()
        other = get_user_model().objects.create_user("yan")
        self.zoe, token = other, None
        token = self.token()
        self.assert_identity(str(other.pk), session, self.ask(HTTP_AUTHORIZATION=f"Token {token}"))

    def test_a_first_class_without_a_challenge_makes_it_403(self):
        classes = ["rest_framework.authentication.SessionAuthentication", "rest_framework.authentication.TokenAuthentication"]
        with override_settings(DJAFFAR_AUTHENTICATION_CLASSES=classes):
            response = self.ask(HTTP_AUTHORIZATION="Token 0")
        self.assertEqual((response.status_code, response.json()), (403, {"detail": "Invalid token."}))

    def test_the_defaults_of_the_site_do_not_matter(self):
        from rest_framework.settings import api_settings

        defaults = {
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
            "UNAUTHENTICATED_USER": None,
        }
        with override_settings(REST_FRAMEWORK=defaults):
            api_settings.reload()
            self.assert_identity(None, None)
        api_settings.reload()
