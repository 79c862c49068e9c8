"""The shop: serves HTTP on the port of its argument, and does what stdin says, one JSON command a line.

{"do": name, ...its arguments} is answered by one line on stdout: its result, or {"failed": why}. Users, sessions and
tokens are made by Django, REST framework, oauth-toolkit and simplejwt themselves.
"""

import json
import logging
import os
import sys
import threading
from datetime import timedelta

sys.dont_write_bytecode = True
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django  # noqa: E402

django.setup()
# What the tests refuse on purpose is no news.
logging.disable(logging.CRITICAL)

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import WSGIRequestHandler, ThreadedWSGIServer  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connections  # noqa: E402
from django.middleware import csrf  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402
from importlib import import_module  # noqa: E402

PASSWORD = "a password of the tests"
Store = import_module(settings.SESSION_ENGINE).SessionStore


def user(username):
    return get_user_model().objects.get(username=username)


def migrate():
    call_command("migrate", verbosity=0, interactive=False)


def create_user(username):
    return str(get_user_model().objects.create_user(username, password=PASSWORD).pk)


def client(session=None):
    client = Client(enforce_csrf_checks=True)
    if session:
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    return client


def submit(client, url, **fields):
    """A form with its CSRF token, as a browser sends it."""
    client.get("/login/")
    if settings.CSRF_USE_SESSIONS:
        token = client.session["_csrftoken"]
    else:
        token = client.cookies["csrftoken"].value
    response = client.post(url, {**fields, "csrfmiddlewaretoken": token})
    assert response.status_code == 302, response.content


def log_in(username, session=None):
    """Through the login view, in a browser that perhaps has a session already; the cookies it has then."""
    browser = client(session)
    submit(browser, "/login/", username=username, password=PASSWORD)
    return {name: cookie.value for name, cookie in browser.cookies.items()}


def log_out(session):
    submit(client(session), "/logout/")


def anonymous_session(**data):
    session = Store()
    session.update(data)
    session.create()
    return session.session_key


def fill(session, **data):
    store = Store(session)
    store.update(data)
    store.save()


def activate(username, active):
    get_user_model().objects.filter(username=username).update(is_active=active)


def change_password(username):
    changed = user(username)
    changed.set_password("another password")
    changed.save()


def delete_user(username):
    user(username).delete()


def expire(session):
    Session.objects.filter(session_key=session).update(expire_date=timezone.now() - timedelta(seconds=1))


def session_data(session):
    return Session.objects.get(session_key=session).session_data


def tamper(session, session_data):
    assert Session.objects.filter(session_key=session).update(session_data=session_data) == 1


def session_user(session):
    """What Django's own store says: no session at all, one of nobody, one of that user."""
    store = Store(session)
    store.load()
    return {"live": store.session_key is not None, "user": store.get("_auth_user_id"), "empty": not list(store.keys())}


def sessions():
    return Session.objects.count()


def visit(session):
    """A page of the site that shows who is logged in, as the browser with that cookie sees it."""
    request = client(session).get("/who/")
    return request.json()


def csrf_token():
    """A secret as the cookie holds it, and tokens of it and of another."""
    make = getattr(csrf, "_get_new_csrf_string", None)
    secret, other = make(), make()
    mask = csrf._mask_cipher_secret
    return {"secret": secret, "masked": mask(secret), "other": mask(other)}


def csrf_token_of(session):
    """A token whose secret is in the session."""
    held = Store(session)["_csrftoken"]
    return csrf._mask_cipher_secret(held) if len(held) == 32 else held


def drf_token(username):
    from rest_framework.authtoken.models import Token

    return Token.objects.get_or_create(user=user(username))[0].key


def oauth_token(username, seconds):
    from oauth2_provider.models import AccessToken
    from oauthlib.common import generate_token

    token = generate_token()
    expires = timezone.now() + timedelta(seconds=seconds)
    AccessToken.objects.create(token=token, user=username and user(username), expires=expires, scope="read")
    return token


def simplejwt(username, seconds=3600, kind="access"):
    from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

    token = {"access": AccessToken, "refresh": RefreshToken}[kind].for_user(user(username))
    token.set_exp(lifetime=timedelta(seconds=seconds))
    return str(token)


def row(path):
    """The activity, as Django's ORM relates it to its own users and sessions; null when there is none yet."""
    from djaffar.models import Activity

    rows = list(Activity.objects.using("rows").filter(path=path))
    if not rows:
        return None
    assert len(rows) == 1, rows
    found = rows[0]
    user_id = username = None
    if found.user_id is not None:
        user_id = str(found.user_id)
        username = getattr(get_user_model().objects.filter(pk=found.user_id).first(), "username", "one who is gone")
    session = found.session_id
    return {"user": username, "user_id": user_id, "session": session, "djangos": Store().exists(session)}


def versions():
    import oauth2_provider
    import rest_framework

    return {"django": django.get_version(), "rest_framework": rest_framework.VERSION, "oauth": oauth2_provider.__version__}


COMMANDS = {
    command.__name__: command
    for command in (
        activate, anonymous_session, change_password, create_user, csrf_token, csrf_token_of, delete_user, drf_token,
        expire, fill, log_in, log_out, migrate, oauth_token, row, session_data, session_user, sessions, simplejwt,
        tamper, versions, visit,
    )
}  # fmt: skip


def answer(line):
    arguments = json.loads(line)
    try:
        return COMMANDS[arguments.pop("do")](**arguments)
    except Exception as error:
        # The next command finds a database that was away.
        connections.close_all()
        return {"failed": f"{type(error).__name__}: {error}"}


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(port):
    server = ThreadedWSGIServer(("127.0.0.1", port), Handler, allow_reuse_address=True)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()


serve(int(sys.argv[1]))
for line in sys.stdin:
    print(json.dumps(answer(line)), flush=True)
