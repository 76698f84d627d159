import json
import shutil
import subprocess

import pytest

from contracts.catalogue import EVENTS
from event_schemas import asyncapi
from event_schemas.__main__ import main
from event_schemas.documentation import page_path
from event_schemas.frozen import LIBRARY, schema_path

PHOTO = "storage.photo.uploaded.v1"


@pytest.fixture
def library(tmp_path):
    """A checkout with nothing in it but this library's promises and the page."""
    copy = tmp_path / "libs" / "contracts"
    for folder in ("schemas", "examples"):
        shutil.copytree(LIBRARY / folder, copy / folder)
    page_path(copy).parent.mkdir()
    shutil.copy(page_path(), page_path(copy))
    asyncapi.path(copy).parent.mkdir(parents=True)
    shutil.copy(asyncapi.path(), asyncapi.path(copy))
    return copy


def rewrite(library, change):
    path = schema_path(PHOTO, library)
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))


def promise_a_field_that_the_model_lacks(schema):
    schema["$defs"]["PhotoUploaded"]["properties"]["width"] = {"type": "integer"}


def forget_the_description(schema):
    del schema["description"]


def git(library, *words):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=library, check=True, capture_output=True)


def test_schemas_that_fit_pass_the_check(library, capsys):
    assert main(["check"], library) == 0
    assert capsys.readouterr() == ("", "")


def test_schemas_are_frozen_where_there_are_none(library):
    shutil.rmtree(library / "schemas")
    assert main(["schemas"], library) == 0
    assert len(list((library / "schemas").iterdir())) == len(EVENTS)
    assert main(["check"], library) == 0


def test_a_harmless_difference_fails_the_check_and_is_written(library, capsys):
    rewrite(library, forget_the_description)
    assert main(["check"], library) == 1
    told = capsys.readouterr().err
    assert f"schemas/{PHOTO}.json is not what the model says" in told
    assert "Run `make schemas`" in told
    assert main(["schemas"], library) == 0
    assert main(["check"], library) == 0


def test_a_breaking_change_is_refused_and_nothing_is_written(library, capsys):
    rewrite(library, promise_a_field_that_the_model_lacks)
    before = schema_path(PHOTO, library).read_text()
    assert main(["schemas"], library) == 1
    told = capsys.readouterr().err
    assert f"{PHOTO}: data.width was removed" in told
    assert "publish a .v2" in told
    assert schema_path(PHOTO, library).read_text() == before
    assert main(["check"], library) == 1
    assert "publish a .v2" in capsys.readouterr().err


def test_a_missing_schema_and_a_schema_of_no_event_fail_the_check(library, capsys):
    schema_path(PHOTO, library).rename(schema_path("storage.photo.renamed.v1", library))
    assert main(["check"], library) == 1
    told = capsys.readouterr().err
    assert f"schemas/{PHOTO}.json is missing" in told
    assert "schemas/storage.photo.renamed.v1.json belongs to no event" in told


def test_a_stale_page_fails_the_check_and_is_written(library, capsys):
    page_path(library).write_text("# Events\n")
    assert main(["check"], library) == 1
    assert "docs/events.md is not what the models say" in capsys.readouterr().err
    assert main(["docs"], library) == 0
    assert main(["check"], library) == 0
    page_path(library).unlink()
    assert main(["check"], library) == 1


def test_a_broken_promise_of_an_earlier_revision_is_found(library, capsys):
    rewrite(library, promise_a_field_that_the_model_lacks)
    git(library, "init", "--quiet", ".")
    git(library, "add", "schemas")
    git(library, "commit", "--quiet", "-m", "Promise a width")
    schema_path(PHOTO, library).unlink()
    assert main(["schemas"], library) == 0
    assert main(["check"], library) == 0
    assert main(["check", "--against", "HEAD"], library) == 1
    told = capsys.readouterr().err
    assert f"{PHOTO}: data.width was removed" in told
    assert "publish a .v2" in told


def test_an_unknown_revision_is_told(library, capsys):
    git(library, "init", "--quiet", ".")
    assert main(["check", "--against", "no-such-branch"], library) == 1
    assert "Name a revision that this checkout has" in capsys.readouterr().err
