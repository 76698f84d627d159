"""No process of the same user reads a service's memory. Both run as `nobody` when the tests run as root."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
CANARY = "canary-0123456789"
# Imports come first: what root may read, `nobody` perhaps may not. A change of user forbids inspection by
# itself, which is allowed again so that it is the program that forbids it.
AS_NOBODY = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    libc.prctl(4, 1, 0, 0, 0)
"""
HOLDER = f"""
from chassis.hardening import forbid_inspection
{AS_NOBODY}
secret = ctypes.create_string_buffer(b"{CANARY}")
if sys.argv[1] == "forbids":
    forbid_inspection()
print(ctypes.addressof(secret), flush=True)
sys.stdin.read()
"""
READER = (
    f"""
{AS_NOBODY}"""
    """
pid, address, size = map(int, sys.argv[1:])
buffer = ctypes.create_string_buffer(size)
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
here, there = Span(ctypes.addressof(buffer), size), Span(address, size)
if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
    print("process_vm_readv", buffer.raw.decode())
for name in ("mem", "environ", "maps"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as memory:
            if name == "mem":
                memory.seek(address)
            print(name, memory.read(size).decode("latin-1"))
    except OSError as refused:
        print(name, type(refused).__name__)
"""
)
DUMPABLE = "import ctypes; print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)"


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def what_a_neighbour_reads(mode: str) -> str:
    with run(HOLDER, mode) as holder:
        assert holder.stdout is not None
        address = holder.stdout.readline().strip()
        with run(READER, str(holder.pid), address, str(len(CANARY))) as reader:
            found, _ = reader.communicate(timeout=30)
        holder.communicate(timeout=30)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such control")
def test_neighbour_of_the_same_user_reads_nothing() -> None:
    found = what_a_neighbour_reads("forbids")
    assert "PermissionError" in found
    assert CANARY not in found


def test_neighbour_would_read_it_otherwise() -> None:
    ptrace = Path("/proc/sys/kernel/yama/ptrace_scope")
    if ptrace.exists() and ptrace.read_text().strip() != "0":
        pytest.skip("this kernel lets no neighbour look")
    assert f"process_vm_readv {CANARY}" in what_a_neighbour_reads("does not")


SERVICES = {
    "a stateful service": f"""
from chassis import entry
{AS_NOBODY}
def told(_class):
    {DUMPABLE}
    raise SystemExit
entry.load_settings = told
sys.argv = ["service", "worker"]
entry.run_service("service", object, dict.fromkeys(["worker"]))
""",
    "the gateway": f"""
from chassis import entry
from gateway import __main__
{AS_NOBODY}
def told(_class):
    {DUMPABLE}
    raise SystemExit
entry.load_settings = told
sys.argv = ["gateway", "api"]
__main__.main()
""",
}


@pytest.mark.parametrize("program", SERVICES.values(), ids=SERVICES)
def test_process_of_a_service_forbids_it_before_it_reads_a_secret(program: str) -> None:
    with run(program) as process:
        found, _ = process.communicate(timeout=60)
    assert found == "dumpable 0\n"


def test_refusal_of_the_system_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from chassis.hardening import forbid_inspection  # noqa: PLC0415 - beside what it is tried with

    class Refusing:
        def prctl(self, *_: int) -> int:
            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_options: Refusing())
    with pytest.raises(PermissionError):
        forbid_inspection()
