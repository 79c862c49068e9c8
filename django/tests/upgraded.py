"""The site of `original.py` with this app in the original's place."""

import os

from .databases import database

SECRET_KEY = "the tests' own"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "djaffar"]
DATABASES = {"default": database(os.environ["ORIGINAL_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
