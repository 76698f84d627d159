"""What an operator sees of erasures at the command line, and may do about them."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from identity.command_line import columns, spoken_age

HOUR = timedelta(hours=1)
UNKNOWN = "019ab0c4-1000-7001-8001-0000316edc57"


@pytest.fixture
def operate(platform):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "identity", *arguments],
            env={**os.environ, **platform.environment("identity")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


async def test_open_erasures_are_listed_with_who_is_missing(operate, service, deletion, ada):
    listed = operate("erasures", "list").stdout
    assert listed.splitlines()[0].split() == ["ERASURE", "AGE", "DEADLINE", "ASKED", "WAITS", "FOR"]
    assert deletion["erasure_id"] in listed
    assert "consent, identity, storage" in listed
    assert ada.user_id not in listed
    assert ada.email not in listed


async def test_overdue_erasures_are_listed_alone(platform, operate, service, deletion):
    assert "no erasure is overdue" in operate("erasures", "list", "--overdue").stdout
    connection = await platform.connect_as_admin()
    try:
        await connection.execute("UPDATE identity.erasures SET deadline = $1", datetime.now(UTC) - HOUR)
    finally:
        await connection.close()
    overdue = operate("erasures", "list", "--overdue").stdout
    assert deletion["erasure_id"] in overdue
    assert "1 h 0 min ago" in overdue


async def test_an_erasure_is_shown_with_its_steps_and_reports(operate, service, deletion, report):
    await report("storage", photos=2, objects=0)
    await report("consent")
    shown = operate("erasures", "show", deletion["erasure_id"]).stdout
    lines = {line.split()[0]: line for line in shown.splitlines() if line}
    assert "requested" in shown
    assert "deadline" in shown
    assert lines["storage"].endswith("photos 2")
    assert lines["consent"].endswith("nothing held")
    assert lines["identity"].endswith("waiting")


async def test_an_erasure_is_asked_about_again_at_once(operate, service, deletion, events):
    before = (await events()).count("identity.user.deleted.v1")
    assert operate("erasures", "redrive", deletion["erasure_id"]).returncode == 0
    assert (await events()).count("identity.user.deleted.v1") == before + 1
    assert " 2 " in operate("erasures", "list").stdout


@pytest.mark.parametrize("command", ["show", "redrive"])
async def test_an_unknown_erasure_is_named_as_such(operate, service, command):
    told = operate("erasures", command, UNKNOWN)
    assert (told.returncode, told.stdout) == (1, "")
    assert "no " in told.stderr
    assert operate("erasures", command, "nonsense").returncode == 2


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=0.4), "0 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=2, minutes=5, seconds=9), "2 h 5 min"),
        (timedelta(days=3), "3 d 0 h"),
    ],
)
def test_an_age_is_told_in_its_two_largest_units(age, said):
    assert spoken_age(age) == said


def test_cells_stand_below_each_other():
    assert columns(("A", "LONG"), ("longer", "b")) == "A       LONG\nlonger  b"
