"""Keeps what a provider entrusted to us unreadable in the database."""

from collections.abc import Sequence
from uuid import UUID

from chassis.sealing import OlderFormat, SealingKeys, joined


class TokenSeal:
    """Seals a token for one person at one client of one provider; nowhere else does it open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = SealingKeys("IDENTITY_PROVIDER_TOKEN_KEY", keys)

    def seal(self, token: str, *, user_id: UUID, provider: str, client_id: str) -> bytes:
        """Return the sealed token."""
        owner, older = _owner(user_id, provider, client_id), _older(user_id, provider, client_id)
        return self._keys.seal(token.encode(), context=owner, older=older)

    def open(self, sealed: bytes, *, user_id: UUID, provider: str, client_id: str) -> str:
        """Return the token; raises what `SealingKeys.open` raises."""
        owner, older = _owner(user_id, provider, client_id), _older(user_id, provider, client_id)
        return self._keys.open(sealed, context=owner, older=older).decode()


def _owner(user_id: UUID, provider: str, client_id: str) -> bytes:
    return joined(b"irisvue/provider-token", user_id.bytes, provider, client_id)


def _older(user_id: UUID, provider: str, client_id: str) -> OlderFormat:
    return OlderFormat(b"\x00".join((b"\x01", user_id.bytes, provider.encode(), client_id.encode())))
