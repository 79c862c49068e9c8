"""The user of a row: a foreign key to the user model, whatever its key, over a column of text.

Djaffar stores a user's key as Django writes it in a session: "7", "0198c0de-...", "ann". In a query the column has
the key's own type, so that it compares, sorts and joins as any foreign key does. Where a user is looked for (`exact`,
`in`, `isnull`) the text itself is compared, which is what the index on the column holds. A join says both, so that
the database may come from either side with an index: from activities by the users' primary key, from a user by the
index on the text.

Django's hooks for this are `ForeignObject.get_extra_restriction`, `Field.get_col` and lookups of the field.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.expressions import Col, Expression
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn, RelatedIsNull
from django.db.models.sql import Query

SQL = tuple[str, list[Any]]
_NUMBER = r"^(0|-?[1-9][0-9]{0,17}|-?[1-8][0-9]{18})$"
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class Texts:
    """Keys that are texts already."""

    pattern: ClassVar[str] = r"(?s).*"

    @classmethod
    def may_be(cls, text: str) -> bool:
        return re.fullmatch(cls.pattern, text) is not None

    @classmethod
    def as_text(cls, sql: str, vendor: str) -> str:
        return sql

    @classmethod
    def as_key(cls, sql: str, vendor: str) -> str:
        """NULL for a text that is no key."""
        return sql


class Numbers(Texts):
    pattern = _NUMBER

    @classmethod
    def as_text(cls, sql: str, vendor: str) -> str:
        return f"({sql})::text" if vendor == "postgresql" else f"CAST({sql} AS TEXT)"

    @classmethod
    def as_key(cls, sql: str, vendor: str) -> str:
        if vendor == "postgresql":
            return f"CASE WHEN {sql} ~ '{_NUMBER}' THEN ({sql})::bigint END"
        return f"CASE WHEN CAST(CAST({sql} AS INTEGER) AS TEXT) = {sql} THEN CAST({sql} AS INTEGER) END"


class Uuids(Texts):
    pattern = _UUID

    @classmethod
    def as_text(cls, sql: str, vendor: str) -> str:
        if vendor == "postgresql":
            return f"({sql})::text"
        # Django keeps them as 32 digits here.
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        return " || '-' || ".join(f"substr({sql}, {start}, {length})" for start, length in parts)

    @classmethod
    def as_key(cls, sql: str, vendor: str) -> str:
        if vendor == "postgresql":
            return f"CASE WHEN {sql} ~ '{_UUID}' THEN ({sql})::uuid END"
        return f"CASE WHEN length({sql}) = 36 THEN replace({sql}, '-', '') END"


class UserKey(models.ForeignKey):
    """Values are keys of users as Python has them. A text that cannot be one, stored by some other authentication,
    is read as it is, and is nobody."""

    @property
    def keys(self) -> type[Texts]:
        target = self.target_field
        while target.remote_field is not None:
            target = target.target_field
        if isinstance(target, models.UUIDField):
            return Uuids
        return Numbers if isinstance(target, models.IntegerField) else Texts

    def text(self, value: Any) -> str | None:
        """The key as Djaffar stores it."""
        return None if value is None else str(self.to_python(value))

    def db_type(self, connection: Any) -> str:
        return "text"

    def cast_db_type(self, connection: Any) -> str:
        return str(self.target_field.rel_db_type(connection))

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return value if hasattr(value, "as_sql") else self.text(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return self.text(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if not isinstance(value, str):
            return value
        keys = self.keys
        if keys is Uuids and len(value) == 32:
            return uuid.UUID(value)
        if not keys.may_be(value):
            return value
        try:
            return self.to_python(value)
        except ValidationError:
            return value

    def get_local_related_value(self, instance: models.Model) -> tuple[Any, ...]:
        value = getattr(instance, self.attname)
        if isinstance(value, str) and not self.keys.may_be(value):
            return (None,)
        return super().get_local_related_value(instance)

    def get_col(self, alias: str | None, output_field: models.Field | None = None) -> Col:
        return UserColumn(alias, self, self)

    def get_joining_columns(self, reverse_join: bool = False) -> tuple[()]:
        return ()

    def get_joining_fields(self, reverse_join: bool = False) -> tuple[()]:
        return ()

    def get_reverse_joining_columns(self) -> tuple[()]:
        return ()

    def get_extra_restriction(self, *aliases: Any) -> Expression | None:
        # Before Django 4.0 a class stands before the aliases.
        users, activities = aliases[-2:]
        # One is None where a join is being taken out of a query.
        return None if users is None or activities is None else _Joined(self, users, activities)


class UserColumn(Col):
    def as_sql(self, compiler: Any, connection: Any) -> SQL:
        sql, _ = super().as_sql(compiler, connection)
        return self.target.keys.as_key(sql, connection.vendor), []

    def stored(self, compiler: Any, connection: Any) -> SQL:
        """The text."""
        return super().as_sql(compiler, connection)

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        query = compiler.query
        # What a query must name twice, or hands to another, has the key's type; else nothing is left out.
        if query.subquery or query.group_by is not None or query.distinct or query.combinator:
            return sql, params
        return self.stored(compiler, compiler.connection)


class _Joined(Expression):
    contains_aggregate = False
    conditional = True

    def __init__(self, field: UserKey, users: str, activities: str) -> None:
        super().__init__(output_field=models.BooleanField())
        self.user_key, self.users, self.activities = field, users, activities

    def as_sql(self, compiler: Any, connection: Any) -> SQL:
        def column(alias: str, name: str) -> str:
            return f"{compiler.quote_name_unless_alias(alias)}.{connection.ops.quote_name(name)}"

        text, key = column(self.activities, self.user_key.column), column(self.users, self.user_key.target_field.column)
        keys, vendor = self.user_key.keys, connection.vendor
        if keys is Texts:
            return f"{text} = {key}", []
        return f"{text} = {keys.as_text(key, vendor)} AND {key} = {keys.as_key(text, vendor)}", []


class _AsText(Expression):
    """An expression that gives keys of users, as texts."""

    def __init__(self, source: Any, field: UserKey) -> None:
        super().__init__(output_field=models.TextField())
        self.source, self.user_key = source, field

    def get_source_expressions(self) -> list[Any]:
        return [self.source]

    def set_source_expressions(self, expressions: list[Any]) -> None:
        (self.source,) = expressions

    def as_sql(self, compiler: Any, connection: Any) -> SQL:
        if isinstance(self.source, UserColumn):
            return self.source.stored(compiler, connection)
        return _in_text(self.user_key, compiler.compile(self.source), connection)


def _in_text(field: UserKey, key: SQL, connection: Any) -> SQL:
    """What gives keys, giving texts; the key may stand in it several times."""
    sql, params = key
    text = field.keys.as_text("\0", connection.vendor)
    return text.replace("\0", sql), list(params) * text.count("\0")


class _ByText:
    """Compares the stored text, which has an index."""

    lhs: Any
    rhs: Any

    @property
    def is_stored(self) -> bool:
        return isinstance(self.lhs, UserColumn)

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> SQL:
        if self.is_stored:
            return self.lhs.stored(compiler, connection)
        return super().process_lhs(compiler, connection, lhs)  # type: ignore[misc]

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, list[Any]]:
        if self.is_stored:
            values = value if self.lookup_name == "in" else [value]  # type: ignore[attr-defined]
            return "%s", [self.lhs.target.text(value) for value in values]
        return super().get_db_prep_lookup(value, connection)  # type: ignore[misc]


@UserKey.register_lookup
class UserExact(_ByText, RelatedExact):
    def process_rhs(self, compiler: Any, connection: Any) -> SQL:
        if self.is_stored and not self.rhs_is_direct_value():
            if isinstance(self.rhs, UserColumn):
                return self.rhs.stored(compiler, connection)
            return _in_text(self.lhs.target, super().process_rhs(compiler, connection), connection)
        return super().process_rhs(compiler, connection)


@UserKey.register_lookup
class UserIn(_ByText, RelatedIn):
    def get_prep_lookup(self) -> Any:
        rhs = super().get_prep_lookup()
        if self.is_stored and isinstance(rhs, Query):
            rhs = rhs.clone()
            if not rhs.has_select_fields:
                rhs.clear_select_clause()
                rhs.add_fields(["pk"])
            rhs.select = tuple(_AsText(column, self.lhs.target) for column in rhs.select)
        return rhs


@UserKey.register_lookup
class UserIsNull(_ByText, RelatedIsNull):
    pass


class OnlySessionKey(models.ForeignKey):
    """A primary key that django-djaffar declared as a foreign key, whose reverse side is therefore a set."""

    def _check_unique(self, **_: Any) -> list[Any]:
        return []
