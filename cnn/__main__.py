"""``python -m cnn``: the command line."""

import sys

from cnn.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
