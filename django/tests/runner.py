"""Djaffar's own tables in the tests' database, made by the program itself."""

import os
import subprocess
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test.runner import DiscoverRunner

from .databases import url_of


def djaffar(*arguments, url=None):
    """What it prints."""
    if not Path(settings.PROGRAM).exists():
        raise SystemExit(f"{settings.PROGRAM} is missing: cargo build -p djaffar, or set BINARY_UNDER_TEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJAFFAR_")}
    command = [settings.PROGRAM, *arguments, "--database", url or url_of(connection)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, encoding="utf-8").stdout


class WithTables(DiscoverRunner):
    def setup_databases(self, **options):
        made = super().setup_databases(**options)
        djaffar("migrate")
        return made
