"""A picture of a given size."""

import io
import random

from PIL import Image

WIDTH, HEIGHT = 1280, 960
MEBIBYTE = 2**20


def one_mebibyte() -> bytes:
    """Return a JPEG of about 1 MiB: noise, which compresses as badly as a photo's finest detail."""
    # The same seed gives the same picture; nothing here is a secret.
    chance = random.Random(1)  # noqa: S311
    small = Image.frombytes("RGB", (WIDTH // 2, HEIGHT // 2), chance.randbytes(WIDTH * HEIGHT * 3 // 4))
    image = small.resize((WIDTH, HEIGHT))
    best = b""
    for quality in range(60, 100, 2):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        best = buffer.getvalue()
        if len(best) >= MEBIBYTE:
            break
    return best
