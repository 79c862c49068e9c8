from django.apps import AppConfig
from django.core.checks import Tags, register


class DjaffarConfig(AppConfig):
    name = "djaffar"
    verbose_name = "Djaffar"

    def ready(self) -> None:
        from .checks import check_settings, check_tables

        register(check_settings)
        register(Tags.database)(check_tables)
