"""What schemathesis can't know of the API: bodies and answers that are bytes."""

import schemathesis


@schemathesis.serializer("application/cbor")
def as_it_is(context, value):
    """A receipt is bytes; here they are random."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("application/cbor")
@schemathesis.deserializer("application/octet-stream")
def not_looked_at(context, response):
    """The document says no more of them than that they are bytes."""
    return response.content.decode("latin-1")
