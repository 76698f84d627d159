import asyncio
import os
import sys

import pytest

RIGHT = "SELECT ON identity.signing_keys"
ENDS_WITHIN_SECONDS = 30


@pytest.fixture
async def without_keys(platform, service):
    """Take the right to read the signing keys away, as a migration that went wrong would."""
    admin = await platform.connect_as_admin()
    await admin.execute(f"REVOKE {RIGHT} FROM identity_app")
    yield
    await admin.execute(f"GRANT {RIGHT} TO identity_app")
    await admin.close()


async def test_an_api_that_can_not_follow_the_keys_ends(platform, settings, without_keys):
    environment = {**os.environ, **platform.environment("identity")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "identity", "api", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), ENDS_WITHIN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 1
    assert b'"part": "follow-key-rotation"' in told
    assert b'"event": "part_ended"' in told
