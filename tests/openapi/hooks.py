"""What the description's schemas cannot say of a request, for schemathesis.

Each hook edits requests before they are sent; schemathesis then looks again whether they fit the schema.
"""

import zlib

import schemathesis
from schemathesis import GenerationMode

# Bodies that are texts to OpenAPI and have a grammar of their own.
TEXTS = {"text/plain", "application/x-ndjson"}


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, (str, bytes)) else str(value)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Bodies are not compressed here; tests/bad_input/compression.rs does that.
    for name in [name for name in case.headers or {} if name.lower() == "content-encoding"]:
        if case.headers[name] in ("gzip", "zstd"):
            del case.headers[name]
    # An id without a date of its own is refused: a retry would count again.
    if case.path == "/pixel.gif" and "id" in (case.query or {}) and not case.query.get("date"):
        del case.query["id"]
    if case.media_type in TEXTS:
        good_text(case)
    elif case.media_type == "application/json":
        for item in case.body if isinstance(case.body, list) else [case.body]:
            whole_id(item)


def good_text(case):
    """Any text fits the schema, so that a good body is one of the examples."""
    if case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE and isinstance(case.body, str):
        examples = case.operation.definition.raw["requestBody"]["content"][case.media_type]["schema"]["examples"]
        case.body = examples[zlib.crc32(case.body.encode()) % len(examples)]


def whole_id(item):
    """7.0 is an integer to JSON Schema, and none to Python and Djaffar."""
    if isinstance(item, dict) and isinstance(item.get("id"), float) and item["id"].is_integer():
        item["id"] = int(item["id"])


@schemathesis.hook
def after_call(context, case, response):
    """A bad item among good ones is refused, though the batch is 200: here it counts as a refusal, wanted or not."""
    if case.path == "/batch/" and response.status_code == 200 and response.json()["rejected"]:
        response.status_code = 400
