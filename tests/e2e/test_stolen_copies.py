"""Whoever steals the disks of the store and dumps of the databases has no picture."""

import io
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

from chassis.sealing import SealBroken
from cluster.clients import installed_binaries
from cluster.environment import ADMIN, DATABASE, KEYRING_DATABASE
from residue.objects import open_store
from storage.key_providers.local import LocalKeyEncryption
from storage.sealing import KeyOwner, KeyUnusable, ObjectLabel, WrappedKey, unseal

NEEDLE_BYTES = 32
CAMERA = "Canary Camera of 1987"


def photographed() -> bytes:
    """Return a JPEG of noise that names its camera and its place."""
    exif = Image.Exif()
    exif[0x010F] = CAMERA
    exif.get_ifd(0x8825)[0x001D] = "1987:06:05"
    target = io.BytesIO()
    Image.effect_noise((400, 300), 90).convert("RGB").save(target, "JPEG", exif=exif, quality=90)
    return target.getvalue()


def needles_of(picture: bytes) -> Iterator[bytes]:
    """Yield pieces of the coded pixels, from all over the file."""
    for begin in range(len(picture) // 4, len(picture) - NEEDLE_BYTES, len(picture) // 16):
        yield picture[begin : begin + NEEDLE_BYTES]


def found_in(texts: Iterable[bytes], needles: Iterable[bytes]) -> set[bytes]:
    """Return those of the needles that stand anywhere."""
    needles = set(needles)
    return {needle for text in texts for needle in needles if needle in text}


def files_below(directory: Path) -> Iterator[bytes]:
    """Yield what every file of a running server has now."""
    for folder, _, names in os.walk(directory):
        for name in names:
            file = Path(folder, name)
            # A server replaces files while they are listed.
            if file.is_file():
                yield file.read_bytes()


def dumped(stage, database: str) -> bytes:
    """Return a database as pg_dump writes it down."""
    command = (
        *(str(installed_binaries() / "pg_dump"), "--host=127.0.0.1", f"--username={ADMIN}"),
        *(f"--port={stage.values['POSTGRES_PORT']}", database),
    )
    environment = {**os.environ, "PGPASSWORD": stage.values["POSTGRES_ADMIN_PASSWORD"]}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout


@asynccontextmanager
async def object_in_the_clear(stage, text: bytes):
    """Put an object that nobody seals beside the others: what the disks show of it must be found."""
    bucket = f"clear-{secrets.token_hex(6)}"
    async with open_store(stage.values) as s3:
        await s3.create_bucket(Bucket=bucket)
        await s3.put_object(Bucket=bucket, Key="clear", Body=text)
        yield
        await s3.delete_object(Bucket=bucket, Key="clear")
        await s3.delete_bucket(Bucket=bucket)


async def keys_that_open(stage, copy: bytes, label: ObjectLabel) -> list[bytes]:
    """Try a copy with every data key that is left; return the wrapped ones of those that open it."""
    ring = LocalKeyEncryption.parse(stage.values["STORAGE_KEY_ENCRYPTION_KEYS"])
    async with stage.database(KEYRING_DATABASE) as connection:
        rows = await connection.fetch("SELECT owner, key_id, wrapped FROM keyring.keys")
    opening = []
    for owner, key_id, wrapped in rows:
        try:
            data_key = await ring.unwrap(WrappedKey(key_id, wrapped), owner=KeyOwner(owner))
            unseal(copy, data_key=data_key, label=label)
        except (KeyUnusable, SealBroken):
            continue
        opening.append(bytes(wrapped))
    return opening


async def test_s20_disks_and_dumps_show_no_picture_and_a_copy_opens_with_nothing_after_the_erasure(
    stage, person, until_erased
) -> None:
    if stage.cluster.mode != "native":
        pytest.skip("the disks of a container are not here")
    disks = stage.cluster.layout.var / "s3"
    await person.agree()
    sent = photographed()
    photo = await person.take_picture(sent)
    kept = [(await person.app.follow("GET", photo[f"{name}_url"])).body for name in ("original", "thumbnail")]
    needles = {CAMERA.encode(), *(needle for picture in (sent, *kept) for needle in needles_of(picture))}
    control = secrets.token_bytes(1 << 16)
    async with object_in_the_clear(stage, control):
        assert found_in(files_below(disks), [control[100:200]])
    dumps = {name: dumped(stage, name) for name in (DATABASE, KEYRING_DATABASE)}
    assert person.id.encode() in dumps[DATABASE]
    assert not found_in([*files_below(disks), *dumps.values()], needles)

    # Who has copies of bucket and keyring, and the key-encryption keys as well, opens it until the erasure.
    async with open_store(stage.values) as s3, stage.database() as connection:
        stored = await s3.get_object(Bucket="irisvue-photos", Key=photo["s3_key"])
        copy = await stored["Body"].read()
        version = await connection.fetchval(
            "SELECT sealed_version FROM storage.photos WHERE id = $1", UUID(photo["id"])
        )
    label = ObjectLabel(UUID(person.id), f"{photo['id']}/original", version)
    (wrapped,) = await keys_that_open(stage, copy, label)
    assert wrapped.hex().encode() in dumps[KEYRING_DATABASE]

    await until_erased(person.app, await person.ask_to_be_erased())

    assert await keys_that_open(stage, copy, label) == []
    assert wrapped.hex().encode() not in dumped(stage, KEYRING_DATABASE)
    assert not found_in(files_below(disks), [*needles, wrapped])
