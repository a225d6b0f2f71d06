"""Freed memory is kept: what a training step frees, the next one has without new pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource
from engine.memory import keep_freed
keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def used():
    return [bytearray(b"x") * 2**26, *(bytearray(b"x") * 2**22 for _ in range(4))]
used()
before = faults()
for _ in range(20):
    used()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_that_is_used_again_needs_no_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], check=True, stdout=subprocess.PIPE)
    assert int(done.stdout) < 2048  # of 409,600, were every block mapped anew
