"""The decoding sandbox: a process that forks one short-lived, confined child for each picture.

It runs as a program of its own (`python -I -m storage.imaging_worker`), speaks frames over stdin and stdout,
and holds no keys, no network connections and no environment. A child that crashes, spins or eats memory takes
only its own picture with it; the next picture gets a fresh child.
"""

import os
import re
import signal
import sys
from typing import Any, Final, NoReturn

from PIL import Image

from storage.confinement import Limits, confine_child, confine_worker, system_call_filter
from storage.examination import Refused, examine, prepare
from storage.frames import read_frame, write_frame
from storage.stripping.frame import MalformedImage

_LARGEST_HEAD: Final = 4_096
_CHUNK: Final = 1 << 20
_ENDED_BY_MOZJPEG: Final = 1
_FAILED: Final = 2
# libheif has no exception of its own for memory: its message tells.
_MEMORY_OF_LIBHEIF: Final = re.compile(r"[Aa]llocat|[Mm]emory")


def main() -> None:
    """Serve pictures until stdin closes."""
    limits = Limits(*(int(word) for word in sys.argv[1:5]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(limits)
    calls = system_call_filter()
    confine_worker()
    while (job := read_frame(sys.stdin.buffer)) is not None:
        head, body = job
        answer = _in_child(str(head["declared"]), body, limits, calls)
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


def _in_child(declared: str, body: bytes, limits: Limits, calls: Any) -> bytes:
    """Examine one picture in a fork and return its answer frame, or a frame that says how it died."""
    code, answer = _one_child(declared, body, limits, calls, recode=False)
    if code == _ENDED_BY_MOZJPEG and declared == "image/jpeg":
        # mozjpeg ends its process at a coefficient that it can read, but is not allowed to write.
        code, answer = _one_child(declared, body, limits, calls, recode=True)
    if answer is not None and code == 0:
        return answer
    return write_frame({"refused": "unsupported", "reason": "the picture can't be decoded within the limits"})


def _one_child(
    declared: str, body: bytes, limits: Limits, calls: Any, *, recode: bool
) -> tuple[int, bytes | None]:
    """Return how a fork ended and what it answered."""
    answers, answer_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)
        _child(declared, body, limits, answer_end, calls, recode=recode)
    os.close(answer_end)
    try:
        answer = _drain(answers, limits.output)
    finally:
        os.close(answers)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), answer


def _drain(source: int, limit: int) -> bytes | None:
    """Read the child's answer to its end, None when it is larger than any honest answer."""
    parts: list[bytes] = []
    size = 0
    while part := os.read(source, _CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit + _LARGEST_HEAD:
            return None
    return b"".join(parts)


def _child(
    declared: str, body: bytes, limits: Limits, answer_end: int, calls: Any, *, recode: bool
) -> NoReturn:
    code = _FAILED
    try:
        confine_child(limits, answer_end, calls)
        rest = memoryview(_answer(declared, body, limits, recode=recode))
        while rest:
            rest = rest[os.write(answer_end, rest) :]
        code = 0
    finally:
        # Nothing of the parent's interpreter may run in the child: no flushing, no exit handlers.
        os._exit(code)


def _answer(declared: str, body: bytes, limits: Limits, *, recode: bool) -> bytes:
    try:
        found = examine(declared, body, limits, recode=recode)
    except Exception as error:  # noqa: BLE001  Decoders raise anything on hostile bytes; all of it means "no".
        kind, reason = _refusal(error)
        return write_frame({"refused": kind, "reason": reason})
    width, height = found.size
    head = {"content_type": found.content_type, "width": width, "height": height}
    frame = write_frame(head, found.original, found.thumbnail)
    if len(frame) > limits.output:
        return write_frame({"refused": "too-large", "reason": "its decoded form is too large to keep"})
    return frame


def _refusal(error: Exception) -> tuple[str, str]:
    """Tell what kind of no an error means, and why, without the picture's content."""
    match error:
        case Refused():
            return error.kind, error.reason
        case MalformedImage():
            # Its message is a sentence; a reason becomes the end of one.
            return "unsupported", str(error).removesuffix(".")
        case Image.DecompressionBombError():
            return "too-large", "it has far too many pixels"
        case _ if isinstance(error, MemoryError) or _MEMORY_OF_LIBHEIF.search(str(error)):
            return "too-large", "decoding it takes too much memory"
        case _:
            return "unsupported", f"it can't be decoded ({type(error).__name__})"


if __name__ == "__main__":
    main()
