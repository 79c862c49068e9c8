"""The pages of the admin site: they show, and change nothing.

Tables of any size are quick to look at, because no page asks for more than an index gives at once: rows come by date,
no more than `LISTED_MAX` are counted or listed, what has no index is looked for among the latest `SEARCHED_MAX` of the
chosen days, and the address of a row carries its date. A session's key lets whoever has it in: it is never shown whole.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import Truncator

from . import address, search
from .models import Activity, SessionInfo

LISTED_MAX = 10_000
LISTED_CHARACTERS = 60


class LatestPages(Paginator):
    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:LISTED_MAX].count()  # type: ignore[union-attr]


class ActivityList(ChangeList):
    def url_for_result(self, result: Activity) -> str:
        return reverse("admin:djaffar_activity_change", args=[address.of(result)])

    listed_max = LISTED_MAX

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than are listed."""
        return bool(self.result_count >= LISTED_MAX)


class VisitorFilter(admin.SimpleListFilter):
    """Applied by `search`: there is no index of those without a user."""

    title = "visitor"
    parameter_name = search.VISITOR

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("user", "Known users"), ("nobody", "Anonymous")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset


class UserFilter(admin.SimpleListFilter):
    """Chosen by a link to somebody's activities: there is no list of all users."""

    title = "user"
    parameter_name = "user"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(self.value(), self.value())] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return search.of_user(queryset, self.value()) if self.value() else queryset


class SessionFilter(admin.SimpleListFilter):
    """Chosen by one of the session's activities, for the key would be in the address."""

    title = "session"
    parameter_name = "session_of"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(self.value(), "that of one activity")] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        activity = address.find(queryset.model._default_manager.all(), self.value())
        if activity is None or activity.session_id is None:
            return queryset.none()
        return queryset.filter(session_id=activity.session_id)


@admin.register(Activity)
class ActivityAdmin(admin.ModelAdmin):
    list_display = ("when", "who", "browser_session", "ip", "short_page", "short_came_from")
    list_filter = (("date", admin.DateFieldListFilter), VisitorFilter, UserFilter, SessionFilter)
    date_hierarchy = "date"
    ordering = ("-date", "-id")
    search_fields = ("path",)
    search_help_text = (
        "A user name, an IP address, the whole key of a session, or a part of a path"
        f" (among the latest {search.SEARCHED_MAX:,} of the chosen days)."
    )
    fields = readonly_fields = (
        "when", "received", "who", "browser_session", "user_agent", "ip", "page", "came_from", "event_id",
    )  # fmt: skip
    actions = None
    list_per_page = 100
    list_max_show_all = 100
    show_full_result_count = False
    show_facets = getattr(getattr(admin, "ShowFacets", None), "NEVER", None)
    paginator = LatestPages
    change_list_template = "admin/djaffar/activity/change_list.html"
    change_form_template = "admin/djaffar/activity/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return ActivityList

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Users are fetched by their keys and not joined, so that a page needs at most one index of them.
        return super().get_queryset(request).prefetch_related("user")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, term: str) -> tuple[QuerySet, bool]:
        queryset, is_somebodys = search.narrowed(queryset, term.strip(), request.GET.get(search.VISITOR))
        if is_somebodys or {UserFilter.parameter_name, SessionFilter.parameter_name}.intersection(request.GET):
            # Postgres may look for somebody's rows day by day, through all that came after them. Few are sorted instead.
            if queryset.order_by()[:LISTED_MAX].count() < LISTED_MAX:
                queryset = queryset.order_by(Coalesce("date", "date").desc(), "-id")
        return queryset, False

    def lookup_allowed(self, lookup: str, *_: Any) -> bool:
        # Other columns have no index, or one that a filter uses.
        chosen = {VisitorFilter.parameter_name, UserFilter.parameter_name, SessionFilter.parameter_name}
        return lookup in chosen or lookup.startswith("date__")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Activity | None:
        return address.find(self.get_queryset(request), object_id)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        # Django's subtitle is the activity as a text, with the key of its session.
        context = {**(extra_context or {}), "subtitle": None}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="date")
    def when(self, activity: Activity) -> str:
        return address.local_time(activity.date)

    @admin.display(description="received")
    def received(self, activity: Activity) -> str:
        return address.local_time(activity.received_at)

    @admin.display(description="user", empty_value="anonymous")
    def who(self, activity: Activity) -> Any:
        if activity.user_id is None:
            return None
        name = activity.user.get_username() if activity.user else activity.user_id
        return _link({UserFilter.parameter_name: activity.user_id}, name)

    @admin.display(description="session")
    def browser_session(self, activity: Activity) -> Any:
        if activity.session_id is None:
            return None
        return _link({SessionFilter.parameter_name: address.of(activity)}, address.shown_session(activity.session_id))

    @admin.display(description="user agent")
    def user_agent(self, activity: Activity) -> str | None:
        info = SessionInfo._default_manager.filter(pk=activity.session_id).first()
        return info.user_agent if info else None

    @admin.display(description="IP address")
    def ip(self, activity: Activity) -> str | None:
        return activity.ip_address

    @admin.display(description="path")
    def page(self, activity: Activity) -> str:
        return activity.path

    @admin.display(description="referer")
    def came_from(self, activity: Activity) -> str:
        return activity.referer

    @admin.display(description="path")
    def short_page(self, activity: Activity) -> str:
        return Truncator(activity.path).chars(LISTED_CHARACTERS)

    @admin.display(description="referer")
    def short_came_from(self, activity: Activity) -> str:
        return Truncator(activity.referer).chars(LISTED_CHARACTERS)

    @admin.display(description="id")
    def event_id(self, activity: Activity) -> str:
        return str(activity.pk)


def _link(choice: dict[str, Any], text: Any) -> str:
    return format_html('<a href="{}?{}">{}</a>', reverse("admin:djaffar_activity_changelist"), urlencode(choice), text)
