"""How many examples the property tests try."""

import os

from hypothesis import settings

QUICK = "LIFTED_QUICK_TESTS" in os.environ  # as `make test` sets it; `make test-all` tries all examples
SHARE = 10


def examples(number, **options):
    """Settings of a property test that tries ``number`` examples, or a tenth of them in `make test`."""
    return settings(max_examples=max(number // SHARE, 5) if QUICK else number, **options)
