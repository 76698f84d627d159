"""What the documents name exists: files, commands of make, problems that no page may point at nothing."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "libs/*/*.md",
        "services/*/*.md",
        "infra/*.md",
        "tools/*.md",
        "tools/*/*.md",
    )
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
MAKE = re.compile(r"`(?:[A-Z0-9_]+=\S+ )*make ([a-z0-9-]+)|^make ([a-z0-9-]+)", re.MULTILINE)
MODULE = re.compile(r"python -m (cluster(?:\.\w+)?|event_schemas)\b(?: ([a-z]+))?")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def broken_links(document: Path, text: str) -> list[str]:
    found = [link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]
    return [link for link in found if not (document.parent / link).exists()]


def unknown_targets(text: str) -> list[str]:
    named = {name for pair in MAKE.findall(text) for name in pair if name}
    return sorted(named - targets())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document, document.read_text()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_make_exist(document: Path) -> None:
    assert unknown_targets(document.read_text()) == []


def test_modules_that_are_named_can_be_run() -> None:
    named = {match for document in DOCUMENTS for match in MODULE.findall(document.read_text())}

    for module, _ in named:
        name = module.replace(".", "/")
        sources = [ROOT / "infra/src" / name, ROOT / "tools" / name]
        assert any((source / "__main__.py").is_file() for source in sources), module


def test_scripts_in_the_documents_are_sound_bash() -> None:
    for document in DOCUMENTS:
        for block in re.findall(
            r"^```(?:sh|bash)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL
        ):
            checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
            assert checked.returncode == 0, f"{document.name}: {checked.stderr}"


def test_documents_of_every_part_are_read() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}

    assert names >= {
        "README.md",
        "docs/architecture.md",
        "docs/decisions/README.md",
        "services/storage/README.md",
    }


def test_link_to_nothing_is_found() -> None:
    assert broken_links(
        ROOT / "README.md", "[a](docs/nowhere.md) [b](README.md#start) [c](https://example.com)"
    ) == ["docs/nowhere.md"]


def test_unknown_command_is_found() -> None:
    assert unknown_targets("`make up`, `MODE=native make fly` and\nmake dance\n") == ["dance", "fly"]


def test_every_decision_has_a_number_of_its_own_and_stands_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    files = sorted(file.name for file in folder.glob("0*.md"))
    numbers = [name[:4] for name in files]
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\)", (folder / "README.md").read_text(), re.MULTILINE)
    assert len(set(numbers)) == len(numbers)
    assert listed == list(zip(numbers, files, strict=True))
    assert all(re.match(rf"# {name[:4]}\.? ", (folder / name).read_text()) for name in files)
