"""Open a person's data key before the first photo needs it."""

from uuid import UUID

from storage.vault import Vault


async def open_key(vault: Vault, *, user_id: UUID) -> None:
    """Make the data key unless there is one; raises `PersonErased` for somebody who is gone."""
    await vault.open_key(user_id)
