"""Answers ingest's question "who is this?" with the site's own authentication.

GET: the browser has proved that a page of this site sent the request. POST: it has not, and a user known by a cookie
needs Django's CSRF token. The body is empty; only headers of the visitor's request are passed on.

200 {"user": primary key as text or null, "session": session key or null}, or 401 and 403 as REST framework answers.
"""

from __future__ import annotations

import hmac
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt

from . import configuration, visitor
from .untouched_session import leave_untouched


@csrf_exempt
def identity(request: HttpRequest) -> HttpResponse:
    response = _answer(request)
    response.headers["Cache-Control"] = "no-store"
    return response


# Django's LoginRequiredMiddleware would send anonymous visitors to a form.
identity.login_required = False  # type: ignore[attr-defined]


def _answer(request: HttpRequest) -> HttpResponse:
    if not _may_ask(request):
        # Not 403, which would be the visitor's own answer.
        return JsonResponse({"detail": "Not found."}, status=404)
    if request.method not in ("GET", "POST"):
        response = JsonResponse({"detail": f'Method "{request.method}" not allowed.'}, status=405)
        response.headers["Allow"] = "GET, POST"
        return response
    leave_untouched(request)
    if configuration.uses_rest_framework():
        from .rest_framework_identity import RestFrameworkIdentity

        view = RestFrameworkIdentity.as_view()
        return view(request).render()
    return _by_django(request)


def _may_ask(request: HttpRequest) -> bool:
    key = configuration.key()
    sent = request.headers.get("Djaffar-Key", "")
    return key is None or hmac.compare_digest(sent.encode("utf-8", "replace"), key.encode())


def _by_django(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    if user is not None and user.is_authenticated:
        reason = _Csrf.failure(request)
        if reason is not None:
            return JsonResponse({"detail": f"CSRF Failed: {reason}"}, status=403)
    return JsonResponse(visitor.answer(request, user))


def _user(request: HttpRequest) -> Any:
    if hasattr(request, "user"):
        return request.user
    if hasattr(request, "session"):
        from django.contrib.auth import get_user

        return get_user(request)
    return None


class _Csrf(CsrfViewMiddleware):
    """Django's own check, which tells the reason instead of showing a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason

    @classmethod
    def failure(cls, request: HttpRequest) -> str | None:
        check = cls(lambda _: HttpResponse())
        check.process_request(request)
        return check.process_view(request, None, (), {})
