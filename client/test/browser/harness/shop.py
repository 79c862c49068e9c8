"""A Django site of two users: a log-in, a log-out, and pages of the template directory that it is given. The user
`root` may see Djaffar's rows on the admin site, where they are in the same database.

    python shop.py DATABASE PORT TEMPLATES
"""

import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.dont_write_bytecode = True
database, port, templates = sys.argv[1:]
sys.path.append(str(Path(__file__).parents[4] / "django"))

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="the secret key of a shop that nobody visits but tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "djaffar",
    ],
    STATIC_URL="/static/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [templates],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }],
    LOGIN_REDIRECT_URL="/account/",
    LOGOUT_REDIRECT_URL="/bye/",
)
django.setup()

from django.contrib import admin
from django.contrib.auth import get_user_model, views
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie


@ensure_csrf_cookie
def page(request, **_):
    return render(request, "page.html")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", views.LoginView.as_view(template_name="login.html")),
    path("logout/", views.LogoutView.as_view()),
    path("<path:name>", page),
    path("", page),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0, interactive=False)
for name in ["ann", "ben"]:
    if not get_user_model().objects.filter(username=name).exists():
        get_user_model().objects.create_user(name, password=f"password of {name}")
if not get_user_model().objects.filter(username="root").exists():
    get_user_model().objects.create_superuser("root", password="password of root")
assert Path(templates, "page.html").exists()
make_server("127.0.0.1", int(port), StaticFilesHandler(get_wsgi_application()), handler_class=Quiet).serve_forever()
