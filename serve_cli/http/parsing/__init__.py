"""Parse requests: pure functions from bytes and headers to what is asked for, or a `RequestError`."""
