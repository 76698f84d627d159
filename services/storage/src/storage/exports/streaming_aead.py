"""Tink's streaming AEAD (AES256_GCM_HKDF_1MB) for what is too large to be sealed in one shot.

The ciphertext is a header with a salt, then segments of 1 MiB, each with a tag; order and end are part
of what is authenticated (Tink, "Streaming AEAD"; Hoang, Reyhanitabar, Rogaway, Vizár 2015). The key is
derived anew for each object, from the person's data key.
"""

import io
from functools import cache
from typing import Any, Final

from chassis.sealing import KEY_BYTES, SealBroken

_SEGMENT_BYTES: Final = 1 << 20
_TYPE: Final = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


def seal_stream(plain: bytes, *, key: bytes, context: bytes) -> bytes:
    """Encrypt under a key of 32 bytes; what comes opens in this context only."""
    sealed = _Kept()
    with _primitive(key).new_encrypting_stream(sealed, context) as stream:
        stream.write(plain)
    return sealed.content


def open_stream(sealed: bytes, *, key: bytes, context: bytes) -> bytes:
    """Decrypt what was sealed in this context; raises `SealBroken` for everything else."""
    tink = _tink()
    try:
        with _primitive(key).new_decrypting_stream(io.BytesIO(sealed), context) as stream:
            return bytes(stream.read())
    except (tink.TinkError, ValueError, OSError):
        raise SealBroken("The sealed bytes were changed or are not what they are taken for.") from None


class _Kept(io.BytesIO):
    """A buffer whose content outlives its closing, which ends an encrypting stream."""

    content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()


@cache
def _tink() -> Any:
    # Only who makes or opens an archive waits for the library, and pays for its memory.
    import tink  # noqa: PLC0415
    from tink import streaming_aead  # noqa: PLC0415

    streaming_aead.register()
    return tink


def _primitive(key: bytes) -> Any:
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key must have {KEY_BYTES} bytes")
    _tink()
    from tink import proto_keyset_format, secret_key_access, streaming_aead  # noqa: PLC0415

    handle = proto_keyset_format.parse(_keyset(key), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def _keyset(key: bytes) -> bytes:
    """Return the key as a keyset of Tink's, which has no other way to take one."""
    from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2  # noqa: PLC0415

    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=_SEGMENT_BYTES,
        derived_key_size=KEY_BYTES,
        hkdf_hash_type=common_pb2.SHA256,
    )
    streaming = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(params=params, key_value=key)
    data = tink_pb2.KeyData(
        type_url=_TYPE,
        value=streaming.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    only = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    return bytes(tink_pb2.Keyset(primary_key_id=1, key=[only]).SerializeToString())
