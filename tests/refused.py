"""A helper for tests of bad input."""

import re
from contextlib import AbstractContextManager
from typing import Any

import pytest


def refused(error: type[BaseException], message: str) -> AbstractContextManager[Any]:
    """Expect an error whose message contains this text."""
    return pytest.raises(error, match=re.escape(message))
