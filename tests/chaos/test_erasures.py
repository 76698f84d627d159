"""Erasures beside faults, at the length that reference tables ask for; each says what it has measured."""

from support import erasure_faults


async def test_r6_broker_without_its_disk_loses_no_erasure_and_no_withdrawal(
    stage, new_person, many, small_jpeg
) -> None:
    took = await erasure_faults.broker_loses_everything(
        stage, new_person, many, small_jpeg, erasures=2000, withdrawals=500, seconds=600
    )
    print(f"\n2,000 erasures and 500 withdrawals, all that the broker knew was lost: done after {took:.0f} s")


async def test_r10_storage_killed_ten_times_leaves_nothing(stage, new_person, many, small_jpeg) -> None:
    took = await erasure_faults.storage_is_killed(
        stage, new_person, many, small_jpeg, people=2000, pictures=2, kills=10
    )
    print(f"\n2,000 people of 4 objects each, 10 kills of storage's worker: done {took:.0f} s after the last")


async def test_r21_store_that_is_down_for_two_minutes_delays_and_fakes_nothing(
    stage, new_person, many, small_jpeg
) -> None:
    took = await erasure_faults.store_is_away(stage, new_person, many, small_jpeg, people=500, seconds=120)
    print(f"\n500 erasures, the store down for 120 s: done {took:.0f} s after its return")


async def test_r27_nothing_outlives_a_deletion_that_everything_races(
    stage, new_person, many, small_jpeg
) -> None:
    await erasure_faults.deletion_races(stage, new_person, many, small_jpeg, people=500)
    print("\n500 deletions beside a sign-in, a refresh and two uploads each: no token works, nothing is left")
