"""Decides without the platform's code whether Pillow and libheif open a file, each in its own process."""

import io
import multiprocessing
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import pi_heif
from PIL import Image

MOST_BYTES: Final = 25_000_000
MOST_PIXELS: Final = 52_000_000
_ACCEPTED: Final = frozenset(["JPEG", "MPO", "PNG", "WEBP"])
_SECONDS: Final = 60.0
_PROCESSES: Final = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the libraries make of a file; `limit` names the stated limit that it is beyond, if any."""

    opens: bool
    said: str
    limit: str = ""

    @property
    def must_be_accepted(self) -> bool:
        """Whether a refusal would be a fault of the platform."""
        return self.opens and not self.limit


def prepare() -> None:
    """Load the libraries once, in the process from which all judges are forked."""
    _PROCESSES.set_forkserver_preload(["corpus.judge"])


def judge(body: bytes) -> Opinion:
    """Return the opinion of a fresh process; one that crashes or takes too long does not open the file."""
    here, there = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_open, args=(body, there), daemon=True)
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(_SECONDS) else Opinion(opens=False, said="takes too long")
    except EOFError:
        return Opinion(opens=False, said="ends the decoder's process")
    finally:
        process.kill()
        process.join()
        here.close()


def _open(body: bytes, answer: Connection) -> None:
    answer.send(_opinion(body))
    answer.close()


def _opinion(body: bytes) -> Opinion:
    pi_heif.register_heif_opener(thumbnails=False)
    warnings.simplefilter("ignore")
    # Whether a picture is too large is asked below, of one that opens.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            kind, (width, height) = image.format or "", image.size
            moves = getattr(image, "is_animated", False)
            declared = str(image.info.get("mimetype") or image.get_format_mimetype() or "")
    except Exception as error:  # noqa: BLE001  Decoders raise anything on hostile bytes; all of it means "no".
        return Opinion(opens=False, said=type(error).__name__)
    return Opinion(
        opens=True,
        said=f"{kind} of {width} by {height}",
        limit=_limit(kind, declared, body, width * height, moves),
    )


def _limit(kind: str, declared: str, body: bytes, pixels: int, moves: bool) -> str:
    if kind not in _ACCEPTED and not (kind == "HEIF" and declared.startswith("image/hei")):
        return f"{kind} is no accepted type"
    if len(body) > MOST_BYTES:
        return "more than 25 MB"
    if pixels > MOST_PIXELS:
        return "more than 52 million pixels"
    if kind == "WEBP" and moves:
        return "an animation"
    return ""
