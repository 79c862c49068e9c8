"""The tables of Djaffar as Django sees them, with the names of django-djaffar."""

from django.db import models


class Activity(models.Model):
    id = models.UUIDField(primary_key=True)
    user = models.TextField(null=True, db_column="user_id")
    session = models.TextField(null=True, db_column="session_id")
    ip_address = models.TextField(null=True)
    date = models.DateTimeField()
    path = models.CharField(max_length=1000)
    referer = models.TextField()
    received_at = models.DateTimeField(serialize=False)

    class Meta:
        managed = False
        db_table = "activity"


class SessionInfo(models.Model):
    session = models.CharField(primary_key=True, max_length=255, db_column="session_id")
    user_agent = models.CharField(max_length=1000)
    first_seen = models.DateTimeField(serialize=False)

    class Meta:
        managed = False
        db_table = "session_info"
