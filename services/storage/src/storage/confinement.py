"""What keeps the decoding sandbox apart from the machine: user, privileges, limits and system calls.

On Linux a confined child may compute, take memory, start threads and write to what it has open; every other
system call fails. macOS has no such filter: there only the limits hold.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ON_LINUX: Final = sys.platform == "linux"
_NOBODY: Final = 65_534
_SECONDS_IN_CHILD: Final = 60
# The worker was started with three descriptors and opens one pipe at a time.
_HIGHEST_DESCRIPTOR: Final = 256
# Names and numbers of linux/prctl.h, linux/sched.h and linux/mman.h.
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_THREAD: Final = 0x00010000
_PROT_EXEC: Final = 0x4

_ALLOWED_CALLS: Final = (
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "exit",
    "exit_group",
    "fstat",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "gettimeofday",
    "lseek",
    "madvise",
    "mremap",
    "munmap",
    "read",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "write",
)


class ConfinementUnavailable(RuntimeError):
    """This system can't confine the decoding sandbox, so no picture may be decoded on it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may add: bytes of memory, seconds of processor time, pixels, bytes of answer."""

    memory: int
    cpu_seconds: int
    pixels: int
    output: int


def confine_worker() -> None:
    """Give up root, give up gaining privileges, and close this process's memory to others."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    if _ON_LINUX:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)


def confine_child(limits: Limits, answer_end: int, calls: Any) -> None:
    """Leave a child one open pipe, no files, no processes, no network, little memory and little time.

    `calls` is what `system_call_filter` built before the fork.
    """
    taken = _address_space()
    os.closerange(0, answer_end)
    os.closerange(answer_end + 1, _HIGHEST_DESCRIPTOR)
    # The number of processes stays free: libde265 decodes in a thread, which counts as one.
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
    signal.alarm(_SECONDS_IN_CHILD)
    if _ON_LINUX:
        # macOS has no limit on address space; there the estimate before decoding bounds the memory.
        size = taken + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        calls.load()


def system_call_filter() -> Any:
    """Build the allow-list that `confine_child` installs, None on a system that has no such filter.

    Raises `ConfinementUnavailable` on a Linux without libseccomp or without seccomp in its kernel.
    """
    if not _ON_LINUX:
        return None
    try:
        import pyseccomp  # noqa: PLC0415  It can't be imported on macOS.
    except RuntimeError as error:
        raise ConfinementUnavailable("Pictures are decoded under seccomp: install libseccomp2.") from error
    if pyseccomp.get_api() < 1:
        raise ConfinementUnavailable("Pictures are decoded under seccomp, which this kernel does not have.")
    calls = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in _ALLOWED_CALLS:
        calls.add_rule(pyseccomp.ALLOW, name)
    for name in ("mmap", "mprotect"):
        calls.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, 0))
    thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)
    calls.add_rule(pyseccomp.ALLOW, "clone", thread)
    # The flags of clone3 lie in memory, where no filter sees them; the C library then falls back to clone.
    calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    return calls


def _address_space() -> int:
    """Count the bytes that this process has mapped already, before a picture adds to them."""
    if not _ON_LINUX:
        return 0
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise ConfinementUnavailable(f"prctl({option}) fails: {os.strerror(ctypes.get_errno())}.")
