"""Prints one part."""

from __future__ import annotations

import sys

from ops.reference import PARTS

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:
        raise SystemExit(f"usage: python -m ops.reference {'|'.join(PARTS)}")
    print(PARTS[sys.argv[1]]())
