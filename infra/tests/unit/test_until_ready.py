import pytest

from cluster.errors import ClusterError
from cluster.readiness import NotReadyError, until_ready


async def test_waiting_ends_when_the_server_answers() -> None:
    answers = iter([NotReadyError("booting"), NotReadyError("booting"), None])

    async def check() -> None:
        answer = next(answers)
        if answer:
            raise answer

    await until_ready("s3", check, seconds=5)

    assert next(answers, "all asked") == "all asked"


async def test_server_that_is_late_is_reported_with_its_last_answer() -> None:
    async def check() -> None:
        raise NotReadyError("it answers 503")

    with pytest.raises(ClusterError, match=r"s3 was not ready after 0 s: it answers 503"):
        await until_ready("s3", check, seconds=0)


async def test_nobody_waits_for_a_server_that_is_gone() -> None:
    async def check() -> None:
        raise NotReadyError("no answer")

    with pytest.raises(ClusterError, match="s3 stopped: disk full"):
        await until_ready("s3", check, seconds=60, still_alive=lambda: "disk full")
