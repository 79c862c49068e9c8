"""Users with other keys than Django's own have."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, UserManager
from django.db import models


class Person(AbstractBaseUser):
    """As much of a user as the admin site asks for."""

    username = models.CharField(max_length=150, unique=True)
    email = models.EmailField(blank=True)
    is_staff = models.BooleanField(default=False)
    is_superuser = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = UserManager()

    USERNAME_FIELD = "username"

    class Meta:
        abstract = True

    def has_perm(self, *_):
        return self.is_superuser

    has_module_perms = has_perm


class UuidUser(Person):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    class Meta:
        swappable = "AUTH_USER_MODEL"


def code():
    return f"who? {uuid.uuid4()}"


class TextUser(Person):
    code = models.CharField(primary_key=True, max_length=41, default=code)

    class Meta:
        swappable = "AUTH_USER_MODEL"
