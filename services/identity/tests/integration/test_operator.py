import os
import subprocess
import sys

PASSWORD = "correct horse battery staple"


def operate(platform, *arguments, typed=""):
    return subprocess.run(
        [sys.executable, "-m", "identity", *arguments],
        env={**os.environ, **platform.environment("identity")},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_an_operator_shows_and_ends_the_sessions_of_a_person(platform, ada):
    shown = operate(platform, "sessions", ada.user_id)
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 1)
    assert operate(platform, "end-sessions", ada.user_id).returncode == 0
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    assert "no live session" in operate(platform, "sessions", ada.user_id).stdout


async def test_an_operator_makes_an_admin_who_can_sign_in(platform, client, ada):
    made = operate(platform, "create-admin", "ops@example.org", typed=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    answer = await client.post(
        "/api/v1/auth/login/json", json={"email": "ops@example.org", "password": PASSWORD}
    )
    assert answer.status_code == 200
    again = operate(platform, "create-admin", "ops@example.org", typed=PASSWORD + "\n")
    assert again.returncode == 1
    assert "example.org" not in again.stderr


async def test_an_operator_rotates_keys_and_sees_stuck_mails(platform, ada, service, clock):
    assert "signs from" in operate(platform, "rotate-keys").stdout
    assert "no mail is stuck" in operate(platform, "stuck-mails").stdout
    connection = await platform.connect_as_admin()
    try:
        await connection.execute("UPDATE identity.mails SET requested_at = requested_at - interval '1 hour'")
    finally:
        await connection.close()
    assert "verify_address" in operate(platform, "stuck-mails").stdout


async def test_a_wrong_id_is_named_as_such(platform, service):
    assert "no account" in operate(platform, "end-sessions", "019ab0c4-1000-7001-8001-0000316edc57").stderr
    assert operate(platform, "sessions", "nonsense").returncode == 2


async def test_a_weak_password_of_an_admin_is_refused_in_a_sentence(platform, service):
    made = operate(platform, "create-admin", "ops@example.org", typed="passwordpassword\n")
    assert (made.returncode, made.stdout) == (1, "")
    assert "Choose a longer one" in made.stderr
    assert "Traceback" not in made.stderr
    assert "passwordpassword" not in made.stderr


async def test_k20_an_admin_is_an_officer_and_nobody_else_is(platform, client, ada, gateway_headers):
    assert operate(platform, "create-admin", "ops@example.org", typed=PASSWORD + "\n").returncode == 0
    connection = await platform.connect_as_admin()
    try:
        admin = await connection.fetchval("SELECT id FROM identity.users WHERE is_admin")
        asked = await client.get(f"/internal/officers/{admin}", headers=gateway_headers)
        assert (asked.status_code, asked.json()) == (200, {"officer": True})
        await connection.execute("UPDATE identity.users SET is_active = false WHERE id = $1", admin)
    finally:
        await connection.close()
    for nobody in (admin, ada.user_id, "019ab0c4-1000-7001-8001-0000316edc57"):
        answer = await client.get(f"/internal/officers/{nobody}", headers=gateway_headers)
        assert answer.status_code == 404
    assert (await client.get(f"/internal/officers/{ada.user_id}")).status_code == 401
