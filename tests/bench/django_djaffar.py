"""A site with django-djaffar 0.1.10, for gunicorn; as a program it makes its tables.

The database is the Postgres at PGHOST, PGPORT. 0.1.10 was written for Django 1.10: what
has moved since is put back where it looks for it.
"""

import os

import django
import django.conf.urls
import django.urls
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import models

settings.configure(
    SECRET_KEY="the secret key of the benchmark's site",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "rest_framework",
        "djaffar",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SILENCED_SYSTEM_CHECKS=["fields.W342"],
)

django.conf.urls.url = django.urls.re_path
key_with_deletion = models.ForeignKey.__init__


def key(self, to, on_delete=models.CASCADE, *arguments, **options):
    key_with_deletion(self, to, on_delete, *arguments, **options)


models.ForeignKey.__init__ = key
django.setup()

import djaffar.views

# It calls `is_anonymous`, which is no method any more; who is anonymous has no key.
djaffar.views.get_user_pk = lambda user: user.pk

urlpatterns = [django.urls.path("djaffar/", django.urls.include("djaffar.urls"))]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
