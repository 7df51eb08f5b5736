"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import ctypes, psutil
from workers.supervision.memory import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
def taken():
    block = libc.malloc(100_000)
    ctypes.memset(block, 1, 100_000)
    return block
blocks = [taken() for _ in range(500)]
last = taken()  # above all others, so that the heap cannot shrink by itself
for block in blocks:
    libc.free(block)
held = psutil.Process().memory_info().rss
give_back()
assert held - psutil.Process().memory_info().rss > 25_000_000
give_back()
"""


def test_freed_memory_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
