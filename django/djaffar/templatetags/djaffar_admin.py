"""The years, months and days above the list of activities.

Django asks the database for all that have rows, which reads every row. Here the first and the last one are asked for.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Iterator

from django import template
from django.db.models import QuerySet
from django.utils.dates import MONTHS
from django.utils.timezone import get_current_timezone, is_aware, localtime, make_aware

register = template.Library()

YEARS_MAX = 40
UNITS = ("year", "month", "day")
FIELD = "date"


@register.inclusion_tag("admin/date_hierarchy.html")
def days_of_activities(changes: Any) -> dict[str, Any]:
    chosen = [changes.params.get(f"{FIELD}__{unit}") for unit in UNITS]
    numbers = [int(_single(number)) for number in chosen if number]
    link = partial(changes.get_query_string, remove=[f"{FIELD}__"])

    def choice(*numbers: int) -> dict[str, str]:
        units = {f"{FIELD}__{unit}": number for unit, number in zip(UNITS, numbers)}
        return {"link": link(units), "title": title(*numbers)}

    if len(numbers) == 3:
        return {"show": True, "back": choice(*numbers[:2]), "choices": [{"title": title(*numbers)}]}
    back = {"link": link({}), "title": "All dates"} if len(numbers) == 1 else choice(*numbers[:1]) if numbers else None
    found = from_rows(changes, len(numbers)) if not changes.is_cut else from_index(changes.queryset, len(numbers))
    return {"show": True, "back": back, "choices": [choice(*numbers, number) for number in found]}


def title(year: int, month: int | None = None, day: int | None = None) -> str:
    if month is None:
        return str(year)
    return f"{MONTHS[month]} {year if day is None else day}"


def from_rows(changes: Any, depth: int) -> list[int]:
    """Of all rows, for they are few."""
    dates = changes.queryset.order_by().prefetch_related(None).values_list(FIELD, flat=True)[: changes.listed_max]
    return sorted({getattr(_local(date), UNITS[depth]) for date in dates})


def from_index(activities: QuerySet, depth: int) -> Iterator[int]:
    """Of many rows: the years that have some, one look at the index for each; else all from the first to the last."""
    if depth == 0:
        yield from years(activities)
        return
    first, last = _end(activities, FIELD), _end(activities, f"-{FIELD}")
    if first is not None and last is not None:
        yield from range(getattr(first, UNITS[depth]), getattr(last, UNITS[depth]) + 1)


def years(activities: QuerySet) -> Iterator[int]:
    date = _end(activities, FIELD)
    for _ in range(YEARS_MAX):
        if date is None:
            return
        yield date.year
        if date.year == 9999:
            return
        start = datetime(date.year + 1, 1, 1)
        after = make_aware(start, get_current_timezone()) if is_aware(date) else start
        date = _end(activities.filter(**{f"{FIELD}__gte": after}), FIELD)


def _end(activities: QuerySet, order: str) -> datetime | None:
    # As the index has them: with the id, no sort.
    ordered = activities.order_by(order, order.replace(FIELD, "id")).prefetch_related(None)
    date = next(iter(ordered.values_list(FIELD, flat=True)[:1]), None)
    return None if date is None else _local(date)


def _local(date: datetime) -> datetime:
    try:
        return localtime(date) if is_aware(date) else date
    except OverflowError:
        # The first and the last day there is.
        return date


def _single(value: Any) -> Any:
    """Django 5 keeps lists of values."""
    return value[-1] if isinstance(value, list) else value
