"""The migrations build exactly what the models describe, in both databases."""

import asyncio
from pathlib import Path

import pytest

from chassis.migrations import check
from support.platform import Platform

MEMBER = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("folder", "url"),
    [
        ("migrations", "STORAGE_OWNER_DATABASE_URL"),
        ("keyring/migrations", "STORAGE_KEYRING_OWNER_DATABASE_URL"),
    ],
)
async def test_the_models_and_the_migrated_schema_agree(platform: Platform, folder: str, url: str) -> None:
    platform.migrate("storage")
    await asyncio.to_thread(check, MEMBER / folder, platform.environment("storage")[url])
