"""Erasures beside faults, in short; `make chaos` has them at length."""

from support import erasure_faults

SECONDS = 180


async def test_r6_broker_without_its_disk_loses_no_erasure_and_no_withdrawal(
    stage, new_person, many, small_jpeg
) -> None:
    await erasure_faults.broker_loses_everything(
        stage, new_person, many, small_jpeg, erasures=20, withdrawals=5, seconds=SECONDS
    )


async def test_r27_nothing_outlives_a_deletion_that_everything_races(
    stage, new_person, many, small_jpeg
) -> None:
    await erasure_faults.deletion_races(stage, new_person, many, small_jpeg, people=25)


async def test_r10_storage_that_is_killed_again_and_again_leaves_nothing(
    stage, new_person, many, small_jpeg
) -> None:
    await erasure_faults.storage_is_killed(
        stage, new_person, many, small_jpeg, people=30, pictures=1, kills=3
    )
