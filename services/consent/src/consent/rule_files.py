"""Reads the rule files; what is wrong in one is said with the file and the field, before anything starts.

The schemas in `rules/` are those of the models that read the files: an editor can check against them.
"""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from consent.records import RecordTerms
from consent.rulebook import ConsentText, Regime, RegimeFile, Rulebook, TextEntry, World

SCHEMAS: dict[str, type[BaseModel]] = {
    "regime.schema.json": RegimeFile,
    "territories.schema.json": World,
    "records.schema.json": RecordTerms,
}
_Model = TypeVar("_Model", bound=BaseModel)


def load_rulebook(rules: Traversable | None = None) -> Rulebook:
    """Read the rule files, those of this package unless told otherwise; raises `ValueError` when unsound."""
    root = rules or files("consent") / "rules"
    world = _read(root / "territories.json", World)
    found = [
        _regime(root, _read(file, RegimeFile))
        for file in (root / "regimes").iterdir()
        if file.name.endswith(".json")
    ]
    return Rulebook(
        tables=world.all_tables(),
        aliases=world.aliases,
        alpha_3=world.alpha_3,
        region_names=world.region_names,
        regimes={regime.code: regime for regime in found},
    )


def load_records(rules: Traversable | None = None) -> RecordTerms:
    """Read what all records of consent say alike; raises `ValueError` when unsound."""
    return _read((rules or files("consent") / "rules") / "records.json", RecordTerms)


def schema_of(name: str) -> str:
    """Return a JSON Schema (2020-12) of `SCHEMAS` as it is committed."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SCHEMAS[name].model_json_schema(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _read(file: Traversable, model: type[_Model]) -> _Model:
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file.name} is no JSON: line {error.lineno}: {error.msg}") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()
        )
        raise ValueError(f"{file.name}: {wrong}") from None


def _regime(root: Traversable, read: RegimeFile) -> Regime:
    texts = tuple(_text(root, read.code, entry) for entry in read.texts)
    return Regime(code=read.code, rulesets=read.rulesets, texts=texts)


def _text(root: Traversable, code: str, entry: TextEntry) -> ConsentText:
    file = root / "texts" / code / entry.consent_type / f"{entry.version}.{entry.locale}.txt"
    if not file.is_file():
        raise ValueError(f"{code}.json: there is no text {code}/{entry.consent_type}/{file.name}")
    return ConsentText(**dict(entry), text=file.read_text(encoding="utf-8").rstrip("\n"))


if __name__ == "__main__":
    for written in SCHEMAS:
        Path(__file__).with_name("rules").joinpath(written).write_text(schema_of(written), encoding="utf-8")
