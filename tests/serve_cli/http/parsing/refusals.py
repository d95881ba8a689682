"""Expect a `RequestError` of a status."""

from contextlib import contextmanager

import pytest

from serve_cli.http.errors import RequestError


@contextmanager
def refused(status, message):
    with pytest.raises(RequestError, match=message) as caught:
        yield caught
    assert caught.value.status == status
