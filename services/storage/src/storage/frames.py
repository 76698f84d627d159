"""What the decoding sandbox and its parent say to each other; neither side needs a decoder to say it.

A frame is a 4-byte length, a JSON head, and then the binary parts whose sizes the head names.
"""

import json
import struct
from typing import Any, BinaryIO


def write_frame(head: dict[str, Any], *parts: bytes) -> bytes:
    """Return one frame; the head names the size of each part."""
    text = json.dumps(head | {"sizes": [len(part) for part in parts]}).encode()
    return b"".join([struct.pack(">I", len(text)), text, *parts])


def read_frame(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame from the parent process, None at the end of the stream."""
    length = source.read(4)
    if len(length) < 4:  # noqa: PLR2004  The length field of the frame.
        return None
    head: dict[str, Any] = json.loads(source.read(int.from_bytes(length)))
    return head, source.read(sum(head["sizes"]))
