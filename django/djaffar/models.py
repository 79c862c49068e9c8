"""The rows that Djaffar's writer stores, with the fields and relations of django-djaffar 0.1.10.

The tables are Djaffar's (`djaffar migrate`). Nothing here follows a user or a session that is deleted: logs stay until
`djaffar prune` or `djaffar erase`. A row is found by its date and id; by the id alone every month is searched.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils import timezone

from .keys import OnlySessionKey, UserKey


class Activity(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = UserKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, db_constraint=False)
    session = models.ForeignKey("sessions.Session", models.DO_NOTHING, null=True, blank=True, db_constraint=False)
    ip_address = models.CharField(max_length=45, null=True, blank=True)
    date = models.DateTimeField()
    path = models.CharField(max_length=1000)
    referer = models.CharField(max_length=2048, default="", blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False, serialize=False)

    class Meta:
        managed = False
        db_table = "activity"
        verbose_name_plural = "activities"

    def __str__(self) -> str:
        try:
            user = self.user.get_username()
        except (ObjectDoesNotExist, AttributeError):
            user = "ANONYMOUS"
        try:
            session = self.session.pk
        except (ObjectDoesNotExist, AttributeError):
            session = "NOSESSION"
        return f"{user}, {session}, {self.ip_address or ''}, {self.date}, {self.path}, {self.referer}"

    def _do_update(self, base_qs: Any, *args: Any, **kwargs: Any) -> Any:
        # By its id alone `loaddata` would search every month for each row.
        return super()._do_update(base_qs.filter(date=self.date), *args, **kwargs)


class SessionInfo(models.Model):
    session = OnlySessionKey("sessions.Session", models.DO_NOTHING, primary_key=True, db_constraint=False)
    user_agent = models.CharField(max_length=1000, blank=True)
    first_seen = models.DateTimeField(default=timezone.now, editable=False, serialize=False)

    class Meta:
        managed = False
        db_table = "session_info"
