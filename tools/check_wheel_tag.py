"""Checks which Linux systems wheels run on, as auditwheel finds it from their libraries.

A wheel must run with glibc 2.28 (manylinux_2_28) or musl 1.2 (musllinux_1_2), whatever newer one it
was linked with. Prints the tag of each wheel; fails if one needs a newer system.

    python tools/check_wheel_tag.py WHEEL ...
"""

from __future__ import annotations

import re
import subprocess
import sys

# The newest versions of the C libraries that a wheel may need.
NEWEST = {"manylinux": (2, 28), "musllinux": (1, 2)}

TAG = re.compile(r'platform tag:\s+"((manylinux|musllinux)_(\d+)_(\d+)_\w+)"')


def check(wheel: str) -> bool:
    """Print the tag of a wheel, or what auditwheel says if it needs too new a system."""
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "auditwheel", "show", wheel],
        check=False,
        capture_output=True,
        text=True,
    )
    found = TAG.search(shown.stdout)
    if found and (int(found[3]), int(found[4])) <= NEWEST[found[2]]:
        print(f"{wheel}: {found[1]}")
        return True
    print(f"{wheel}: should be manylinux_2_28 or musllinux_1_2, or older", file=sys.stderr)
    print(shown.stdout, shown.stderr, file=sys.stderr)
    return False


if __name__ == "__main__":
    if not all([check(wheel) for wheel in sys.argv[1:]]):
        sys.exit(1)
