"""R29: a dump from before an erasure is restored on a whole cluster, and brings nobody back."""

from restore_drill.__main__ import main


def test_r29_restored_backup_brings_nobody_back() -> None:
    assert main() == 0
