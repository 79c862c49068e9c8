"""Tells Django of the models. The tables are made by `djaffar migrate`; here nothing is done to the database.

It has the name of django-djaffar's only migration: where that one has run, this one counts as applied.
"""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import djaffar.keys


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("sessions", "0001_initial"),
    ]
    operations = [
        migrations.CreateModel(
            name="Activity",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("ip_address", models.CharField(blank=True, max_length=45, null=True)),
                ("date", models.DateTimeField()),
                ("path", models.CharField(max_length=1000)),
                ("referer", models.CharField(blank=True, default="", max_length=2048)),
                (
                    "received_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, serialize=False),
                ),
                (
                    "session",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="sessions.session",
                    ),
                ),
                (
                    "user",
                    djaffar.keys.UserKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name_plural": "activities", "db_table": "activity", "managed": False},
        ),
        migrations.CreateModel(
            name="SessionInfo",
            fields=[
                (
                    "session",
                    djaffar.keys.OnlySessionKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        serialize=False,
                        to="sessions.session",
                    ),
                ),
                ("user_agent", models.CharField(blank=True, max_length=1000)),
                (
                    "first_seen",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, serialize=False),
                ),
            ],
            options={"db_table": "session_info", "managed": False},
        ),
    ]
