"""What a process forbids its neighbours of the same user: to read its memory, and the keys in it."""

import ctypes
import os
import sys

_PR_SET_DUMPABLE = 4
_NO = 0


def forbid_inspection() -> None:
    """Let no process of the same user read this one's memory or trace it, and no crash write it to a disk.

    It holds until the process becomes another program, so a child that is one calls it again.
    Raises OSError when Linux refuses (prctl(2), PR_SET_DUMPABLE); other systems have no such thing.
    """
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, _NO, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
