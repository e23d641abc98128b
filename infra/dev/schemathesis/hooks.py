"""Lets schemathesis send and read JSON lines, and gives each request an Idempotency-Key of its own."""

import itertools
import json
import re

import schemathesis

KEY = "Idempotency-Key"
NUMBERS = itertools.count()


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    """The body as it is where it is text; anything else as one line of JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace")


@schemathesis.deserializer("application/x-ndjson")
def documents(_context, response):
    """The last document of an answer: the schema is that of a line."""
    answered = [json.loads(line) for line in response.content.splitlines() if line]
    return answered[-1] if answered else None


@schemathesis.hook
def before_call(_context, case, **_kwargs):
    """A key that was sent before with another body is refused, which no description of one request can tell of. Keys that are none
    stay as they are.
    """
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and len(key) <= 255 and re.fullmatch("[!-~]([ -~]*[!-~])?", key):
        case.headers[KEY] = f"{next(NUMBERS)}-{key}"[:255]
