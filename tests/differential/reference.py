"""Answers log requests with the real Django and REST framework.

Reads one request per line from stdin and writes one answer per line to
stdout, both as JSON; the first line written names the versions. A request:

    {"time_zone", "referer_characters_max",
     "content_type": text or null, "body": hex, "referer_header": hex or null}
    {"time_zone", ..., "query": text}         the pixel's, instead of a body

An answer is {"status", "values"} or {"status", "answer"}; dates are
microseconds since 1970, and null stands for now.
"""

import datetime
import json
import platform
import sys
import zoneinfo

import django
from django.conf import settings

settings.configure(
    USE_TZ=True,
    USE_I18N=False,
    TIME_ZONE="UTC",
    SECRET_KEY="unused",
    ALLOWED_HOSTS=["*"],
    REST_FRAMEWORK={
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
    },
)
django.setup()

import rest_framework  # noqa: E402
from django.core.exceptions import SuspiciousOperation  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import parsers, serializers, views  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIRequestFactory  # noqa: E402

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def serializer_class(referer_characters_max, date_required):
    class ActivitySerializer(serializers.Serializer):
        date = serializers.DateTimeField(required=date_required)
        path = serializers.CharField(max_length=1000)
        referer = serializers.CharField(
            max_length=referer_characters_max, allow_blank=True, default=""
        )
        id = serializers.UUIDField(required=False)

    return ActivitySerializer


class PlainParser(parsers.BaseParser):
    """text/plain, which Django has no parser for: JSON after a brace, else a form."""

    media_type = "text/plain"

    def parse(self, stream, media_type=None, parser_context=None):
        body = stream.read()
        is_json = body.lstrip(b" \t\r\n").startswith(b"{")
        parser = parsers.JSONParser() if is_json else parsers.FormParser()
        return parser.parse(Buffer(body), media_type, parser_context)


class Buffer:
    def __init__(self, body):
        self.body = body

    def read(self, size=-1):
        body, self.body = self.body, b""
        return body


class LogView(views.APIView):
    parser_classes = [
        parsers.FormParser,
        parsers.MultiPartParser,
        parsers.JSONParser,
        PlainParser,
    ]
    referer_characters_max = None

    def post(self, request):
        return self.validate(request, request.data, date_required=True)

    def get(self, request):
        fields = request.query_params
        return self.validate(request, fields, date_required=bool(fields.get("id")))

    def validate(self, request, fields, date_required):
        if isinstance(fields, dict):
            fields = fields.copy()
            path = fields.get("path")
            if path is None or (isinstance(path, str) and path == ""):
                fields["path"] = request.META.get("HTTP_REFERER", "")
        serializer = serializer_class(self.referer_characters_max, date_required)(
            data=fields
        )
        if not serializer.is_valid():
            return Response({"errors": serializer.errors}, status=400)
        return Response(serializer.validated_data, status=204)


def make_request(case):
    factory = APIRequestFactory()
    headers = {}
    if case["referer_header"] is not None:
        headers["HTTP_REFERER"] = bytes.fromhex(case["referer_header"]).decode("latin-1")
    if "query" in case:
        query = case["query"].encode().decode("latin-1")
        return factory.generic("GET", "/pixel.gif", QUERY_STRING=query, **headers)
    return factory.generic(
        "POST",
        "/log/",
        bytes.fromhex(case["body"]),
        content_type=case["content_type"] or "",
        **headers,
    )


def answer(case):
    view = LogView.as_view(referer_characters_max=case["referer_characters_max"])
    try:
        with timezone.override(zoneinfo.ZoneInfo(case["time_zone"])):
            response = view(make_request(case))
    except SuspiciousOperation as error:
        # Django's handler, which stands outside the view, answers these with 400.
        return {"status": 400, "answer": {"suspicious": type(error).__name__}}
    except Exception as error:
        return {"status": 500, "answer": {"crash": type(error).__name__}}
    if response.status_code != 204:
        return {"status": response.status_code, "answer": response.data}
    date, id = response.data.get("date"), response.data.get("id")
    return {
        "status": 204,
        "values": {
            "date": None if date is None else (date - EPOCH) // MICROSECOND,
            "path": response.data["path"],
            "referer": response.data["referer"],
            "id": None if id is None else str(id),
        },
    }


def main():
    versions = {
        "python": platform.python_version(),
        "django": django.get_version(),
        "rest_framework": rest_framework.VERSION,
    }
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))))


main()
