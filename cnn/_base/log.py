"""The logger ``cnn``, for programs that keep a log of what they do.

At INFO: the begin and the end of `fit`, files that are loaded and saved, downloads. At DEBUG: each
epoch. At WARNING: a mirror that fails. Nothing is printed unless the program sets logging up.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("cnn")
LOGGER.addHandler(logging.NullHandler())
