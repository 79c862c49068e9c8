"""Databases by their URL, as Djaffar names them."""

from urllib.parse import urlsplit


def database(url):
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


def url_of(connection):
    held = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:{held['NAME']}"
    return f"postgres://{held['USER']}@{held['HOST']}:{held['PORT']}/{held['NAME']}"
