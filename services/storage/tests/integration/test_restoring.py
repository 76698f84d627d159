"""R29, K22: a data key that a restored keyring has again is destroyed, and no other one."""

import pytest

from chassis.ids import new_id
from chassis.problems import PersonErased
from storage.main import STORAGE


async def test_k22_keys_of_erased_people_go_again_after_a_restore(service) -> None:
    erased, living = new_id(), new_id()
    kept = await service.vault.open_key(living)
    await service.vault.open_key(erased)
    async with service.keyring.unit_of_work() as uow:
        # As absorbed from the keyring's journal.
        await uow.add_tombstone(erased)
    for _, sweep in STORAGE.journaled(service):
        await sweep()
    assert await service.vault.count_keys([erased, living]) == {erased: 0, living: 1}
    assert await service.vault.open_key(living) == kept
    with pytest.raises(PersonErased):
        await service.vault.open_key(erased)
