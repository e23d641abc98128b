"""Lets schemathesis send and read JSON lines."""

import json

import schemathesis


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
