"""The identity view of a site that authenticates with REST framework."""

from __future__ import annotations

from typing import Callable

from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from . import configuration, visitor


class RestFrameworkIdentity(APIView):
    """Everybody may ask, as often as need be, and is answered in JSON whatever the site's defaults are."""

    renderer_classes = [JSONRenderer]
    permission_classes: list[type] = []
    throttle_classes: list[type] = []
    versioning_class = None
    schema = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        classes = configuration.authentication_classes()
        return [made() for made in (self.authentication_classes if classes is None else classes)]

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return exception_handler

    def get(self, request: Request) -> Response:
        return Response(visitor.answer(request._request, request.user))

    def post(self, request: Request) -> Response:
        return self.get(request)
