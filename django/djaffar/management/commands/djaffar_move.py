"""Copies the rows of django-djaffar 0.1.10 into Djaffar's tables. Whatever was copied before is left as it is."""

from __future__ import annotations

import sys
from typing import Any, Iterator

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Min, QuerySet

from djaffar import configuration, months
from djaffar.models import Activity, SessionInfo
from djaffar.original import InvalidRow, OriginalActivity, OriginalSessionInfo, activity, session_info

BATCH_ROWS = 2_000


class Command(BaseCommand):
    help = (
        "Copies the rows of django-djaffar 0.1.10 (djaffar_activity, djaffar_sessioninfo) into the tables of Djaffar. "
        "An interrupted run is simply repeated: a row has the same id each time."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="where the original's tables are")
        parser.add_argument("--after", type=int, default=None, metavar="ID", help="go on behind this id of djaffar_activity")
        parser.add_argument("--batch-size", type=int, default=BATCH_ROWS, metavar="ROWS", help=f"rows of one transaction ({BATCH_ROWS})")
        parser.add_argument("--dry-run", action="store_true", help="only count and check the rows")

    def handle(self, *_: Any, database: str, after: int | None, batch_size: int, dry_run: bool, **__: Any) -> None:
        if batch_size < 1:
            raise CommandError("--batch-size is at least 1.")
        self.source, self.target = database, configuration.database()
        self.dry_run = dry_run
        self.refused = 0
        self.expect_tables()
        infos, activities = (model._base_manager.using(self.source) for model in (OriginalSessionInfo, OriginalActivity))
        if after is not None:
            activities = activities.filter(pk__gt=after)
        self.copy("session infos", infos, batch_size, self.session_infos)
        self.copy("activities", activities, batch_size, self.activities)
        if self.refused:
            raise CommandError(f"{self.refused} rows were not {'fit to be ' if dry_run else ''}copied; they are named above.")

    def expect_tables(self) -> None:
        for alias, table, remedy in (
            (self.source, OriginalActivity._meta.db_table, "name another with --database"),
            (self.source, OriginalSessionInfo._meta.db_table, "name another with --database"),
            (self.target, Activity._meta.db_table, "run `djaffar migrate --database ...` for it first"),
        ):
            with connections[alias].cursor() as cursor:
                if table not in connections[alias].introspection.table_names(cursor):
                    raise CommandError(f"The database {alias!r} has no table {table}: {remedy}.")
        if not settings.USE_TZ and connections[self.target].vendor == "sqlite":
            raise CommandError("Djaffar's dates are UTC: set USE_TZ = True.")

    def copy(self, title: str, rows: QuerySet, batch_size: int, store: Any) -> None:
        total, seen, copied = rows.count(), 0, 0
        for batch in batches(rows, batch_size):
            copied += store(batch)
            seen += len(batch)
            self.progress(f"{title}: {seen} of {total}, up to {batch[-1].pk}")
        verb = "to copy" if self.dry_run else "copied"
        self.progress("")
        self.stdout.write(f"{title}: {seen} read, {copied} {verb}, {seen - copied - self.refused_now} there already, {self.refused_now} refused")
        self.refused += self.refused_now
        self.refused_now = 0

    refused_now = 0

    def session_infos(self, batch: list[Any]) -> int:
        keys = [row.pk for row in batch]
        known = set(SessionInfo._base_manager.using(self.target).filter(pk__in=keys).values_list("pk", flat=True))
        of_batch = OriginalActivity._base_manager.using(self.source).filter(session_id__in=keys)
        first = dict(of_batch.values_list("session_id").annotate(first=Min("date")).order_by())
        new = [made for row in batch if row.pk not in known and (made := self.made(row, session_info, first.get(row.pk)))]
        if not self.dry_run:
            SessionInfo._base_manager.using(self.target).bulk_create(new, ignore_conflicts=True)
        return len(new)

    def activities(self, batch: list[Any]) -> int:
        made = [found for row in batch if (found := self.made(row, activity))]
        if not made:
            return 0
        dates = [row.date for row in made]
        rows = Activity._base_manager.using(self.target)
        near = rows.filter(date__range=(min(dates), max(dates)), pk__in=[row.pk for row in made])
        known = set(near.values_list("date", "pk"))
        new = [row for row in made if (row.date, row.pk) not in known]
        if not self.dry_run and new:
            months.make(connections[self.target], {row.date for row in new})
            rows.bulk_create(sorted(new, key=lambda row: (row.date, row.pk)), ignore_conflicts=True)
        return len(new)

    def made(self, row: Any, make: Any, *more: Any) -> Any:
        try:
            return make(row, *more)
        except InvalidRow as error:
            self.refused_now += 1
            self.progress("")
            self.stderr.write(f"{row._meta.db_table} {row.pk!r}: {error}")
            return None

    def progress(self, text: str) -> None:
        """Overwrites itself on a terminal; elsewhere there is none."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def batches(rows: QuerySet, size: int) -> Iterator[list[Any]]:
    """By primary key, each from where the last has ended."""
    rest = rows.order_by("pk")
    while batch := list(rest[:size]):
        yield batch
        rest = rows.filter(pk__gt=batch[-1].pk).order_by("pk")
