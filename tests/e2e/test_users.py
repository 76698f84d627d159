"""What people run first: the demo and the session of the README, as they stand there."""

import re
import sys
from pathlib import Path

from contracts.topology import SERVICES

ROOT = Path(__file__).resolve().parents[2]
HEALTH = {
    "/health": {"status": "healthy", "version": "0.1.0"},
    "/health/liveness": {"status": "alive"},
    "/health/db": {"status": "healthy", "service": "database"},
    "/health/redis": {"status": "healthy", "service": "redis"},
    "/health/broker": {"status": "healthy", "service": "broker"},
    "/health/storage": {"status": "healthy", "service": "storage"},
}


def test_demo_tells_the_whole_story(stage) -> None:
    told = stage.run_module("demo")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "The story went as it should" in told.stdout
    assert "\033[" not in told.stdout


def test_demo_without_a_cluster_says_what_to_do(stage, tmp_path) -> None:
    told = stage.run(sys.executable, "-m", "demo", "--directory", str(tmp_path))

    assert told.returncode == 1
    assert "`make up` first" in told.stderr
    assert "Traceback" not in told.stderr


def test_r28_erasure_is_proved_on_the_running_cluster(stage) -> None:
    proved = stage.run_module("prove_erasure")

    assert proved.returncode == 0, proved.stdout + proved.stderr
    rows = {line.split()[0]: line.split() for line in proved.stdout.splitlines() if line.strip()}
    for store in ("table", "redis", "bucket", "queue", "log", "mailbox"):
        _, places, *_, planted_is_found, _, hits = rows[store]
        assert int(places) > 0, proved.stdout
        assert planted_is_found == "yes"
        assert hits == "0"
    assert int(rows["table"][2]) > 50
    assert int(rows["log"][3]) > 1000
    # The mails to her stay hers.
    assert int(rows["mailbox"][5]) >= 2


async def test_r28_trace_that_an_erasure_leaves_is_found_and_told_by_the_exit_status(stage) -> None:
    """A trigger that copies addresses aside is what no service knows of, and what no erasure reaches."""
    await stage.execute(
        "CREATE TABLE public.aside (email text);"
        "CREATE FUNCTION public.copy_aside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN INSERT INTO public.aside VALUES (encode(convert_to(NEW.email, 'UTF8'), 'base64'));"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER copy_aside AFTER INSERT ON identity.users"
        " FOR EACH ROW EXECUTE FUNCTION public.copy_aside()"
    )
    try:
        proved = stage.run_module("prove_erasure")
    finally:
        await stage.execute(
            "DROP TRIGGER copy_aside ON identity.users; DROP FUNCTION public.copy_aside;"
            "DROP TABLE public.aside"
        )

    assert proved.returncode == 1, proved.stdout + proved.stderr
    assert re.search(r"HIT: 1 in irisvue\.public\.aside: .*e-mail address", proved.stdout)


def test_proof_without_a_cluster_says_what_to_do(stage, tmp_path) -> None:
    told = stage.run(sys.executable, "-m", "prove_erasure", "--directory", str(tmp_path))

    assert told.returncode == 2
    assert "`make up` first" in told.stderr
    assert "Traceback" not in told.stderr


def test_session_of_the_readme_works_when_pasted(stage) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1

    session = stage.run("bash", "-eu", "-o", "pipefail", "-c", blocks[0], API=f"{stage.url}/api/v1")

    assert session.returncode == 0, session.stdout + session.stderr
    problems = re.findall(r'"type":"urn:irisvue:problem:([a-z-]+)"', session.stdout)
    # A link of a withdrawn photo is refused; once storage has destroyed the photo, it is gone.
    assert problems in (
        ["consent-required", "consent-required", "unauthorized"],
        ["consent-required", "link-gone", "unauthorized"],
    )
    assert '"status": "completed"' in session.stdout


async def test_health_answers_as_documented(new_app) -> None:
    app = new_app()

    assert {path: (await app.call("GET", path)).document for path in HEALTH} == HEALTH
    ready = await app.call("GET", "/health/readiness")
    assert ready.status == 200
    assert ready.document.items() >= {"status": "ready", "db": "ok", "redis": "ok"}.items()
    assert ready.document["services"] == dict.fromkeys(SERVICES, "ok")


async def test_documentation_lists_the_whole_path(new_app) -> None:
    app = new_app()
    document = (await app.follow("GET", f"{app.base_url}/openapi.json")).document

    assert document["paths"].keys() >= {
        "/api/v1/auth/register",
        "/api/v1/privacy/consent",
        "/api/v1/photos/upload",
        "/api/v1/users/me",
        "/api/v1/privacy/erasures/{erasure_id}",
    }
    assert (await app.follow("GET", f"{app.base_url}/docs")).status == 200
