"""The confined child: it decodes pictures and can reach nothing else of the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from storage.imaging import DecodingSandbox, SandboxLimits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux only")

# Runs as `nobody` when started by root, so that no refusal rests on another user's id.
ATTEMPTS = """
import ctypes, json, os, resource, signal, socket, sys
from storage.confinement import Limits, confine_child, system_call_filter

calls = system_call_filter()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(4, 1, 0, 0, 0)
secret = ctypes.create_string_buffer(b"key-encryption-key")
victim = os.getpid()
answers, answer_end = os.pipe()

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def read_memory():
    target = ctypes.create_string_buffer(18)
    local, remote = Vector(ctypes.addressof(target), 18), Vector(ctypes.addressof(secret), 18)
    if libc.process_vm_readv(victim, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def fork():
    if os.fork() == 0:
        os._exit(0)

def executable_memory():
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0)) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "refused")

attempts = {
    "process_vm_readv": read_memory,
    "process_vm_writev": lambda: call("process_vm_writev", victim, None, 0, None, 0, 0),
    "ptrace": lambda: call("ptrace", 0x4206, victim, None, None),
    "pidfd_open": lambda: call("syscall", ctypes.c_long(434), victim, 0),
    "kill": lambda: os.kill(victim, 0),
    "tgkill": lambda: call("tgkill", victim, victim, 0),
    "fork": fork,
    "execve": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "setsid": os.setsid,
    "setpgid": lambda: os.setpgid(0, 0),
    "socket": lambda: socket.socket(),
    "socketpair": lambda: socket.socketpair(),
    "open": lambda: os.open("/dev/null", os.O_RDONLY),
    "stat": lambda: os.stat("/"),
    "unlink": lambda: os.unlink("/tmp/irisvue-nothing"),
    "pipe": os.pipe,
    "dup": lambda: os.dup(answer_end),
    "setrlimit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "setitimer": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    "prctl": lambda: call("prctl", 4, 1, 0, 0, 0),
    "unshare": lambda: call("unshare", 0x10000000),
    "memfd_create": lambda: os.memfd_create("x"),
    "io_uring_setup": lambda: call("syscall", ctypes.c_long(425), 1, None),
    "executable memory": executable_memory,
}
child = os.fork()
if child == 0:
    confine_child(Limits(512 << 20, 5, 40_000_000, 32 << 20), answer_end, calls)
    done = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            done[name] = "done"
        except (OSError, ValueError) as error:
            done[name] = str(error)
    os.write(answer_end, json.dumps(done).encode())
    os._exit(0)
os.close(answer_end)
sys.stdout.write(os.read(answers, 1 << 16).decode())
os.waitpid(child, 0)
"""


def run(script: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-I", "-c", script], check=False, timeout=60, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_confined_child_can_do_nothing_but_compute_and_answer() -> None:
    done = json.loads(run(ATTEMPTS))
    assert len(done) > 20
    assert {name for name, outcome in done.items() if outcome == "done"} == set()


async def test_the_worker_program_has_no_root_and_a_closed_memory(pictures) -> None:
    async with DecodingSandbox(SandboxLimits(processes=1)) as sandbox:
        await sandbox.examine(pictures.jpeg(), "image/jpeg")
        process = Path("/proc", str(sandbox._idle[0].pid))
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        owner = (process / "environ").stat().st_uid
    assert status["NoNewPrivs"].strip() == "1"
    assert "0" not in status["Uid"].split()
    # What a process that others may not read has in /proc belongs to root, whoever runs it.
    assert owner == 0
