"""Holds a running API against its own OpenAPI document with generated requests (schemathesis)."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests
import schemathesis
from schemathesis import AuthContext, Case, HookContext, Response
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.hooks import unregister

from chassis.service_auth import GATEWAY_TOKEN_HEADER
from support.gateway import Proof

LONGEST_ANSWER_SECONDS = 30
SHOWN_FAILURES = 3
"""Examples that the report shows of each kind of failure."""
UNAUTHORIZED = 401
IDEMPOTENCY_KEY = "Idempotency-Key"
REFUSALS = range(300, 600)
VALID_ANSWERS = ("2xx", "3xx", 401, 403, 404, 409, 429, "5xx")
"""What the library lets a valid request be answered; a server's error is another check's business."""
INVALID_ANSWERS = (400, 401, 403, 404, 405, 406, 409, 415, 422, 428, 429, "5xx")
"""What it lets an invalid one be answered."""

BeforeCall = Callable[[HookContext, Case[Any], dict[str, Any]], None]


@dataclass
class Findings:
    """What a run has seen: answers by operation and status, failures by operation and check."""

    seed: int
    answers: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return sum(counted.total() for counted in self.answers.values())

    @property
    def succeeded(self) -> set[str]:
        """The operations that answered 2xx at least once, as `METHOD /path`."""
        return {
            operation
            for operation, counted in self.answers.items()
            if any(status not in REFUSALS for status in counted)
        }

    def report(self) -> str:
        """Return the failures, with examples that repeat them, and what was measured."""
        lines = [
            "\n".join([f"{name}, {len(examples)} times:", *examples[:SHOWN_FAILURES]])
            for name, examples in sorted(self.failures.items())
        ]
        statuses = sum(self.answers.values(), Counter[int]())
        told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        summary = f"{self.requests} requests to {len(self.answers)} operations, seed {self.seed}: {told}"
        return "\n\n".join([*lines, summary])

    def add(self, recorder: ScenarioRecorder) -> None:
        """Take over what one scenario has seen."""
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is not None:
                operation = recorder.cases[case_id].value.operation.label
                self.answers[operation][interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            operation = recorder.cases[case_id].value.operation.label
            for check in checks:
                if check.failure_info is not None:
                    shown = f"{check.failure_info.failure}\n{check.failure_info.code_sample}"
                    self.failures[f"{operation}: {check.name}"].append(shown)


def fuzz(
    url: str,
    *,
    seed: int,
    cases: int,
    proof: Proof,
    new_token: Callable[[], str] | None = None,
    examples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    also_refused: Mapping[str, Sequence[int]] | None = None,
    unchecked: Mapping[str, Sequence[str]] | None = None,
) -> Findings:
    """Send generated requests, about `cases` random ones per operation and as many by rule; print the sum.

    `proof` makes the gateway's token, which every request carries. `new_token` makes an access token whenever
    the last one was refused; without it nobody is signed in. `examples` are bodies by operation (`POST
    /things`) that are sent as they are. `also_refused` names the statuses with which an operation may refuse
    what its schema allows: rules that no schema can spell. `unchecked` names the checks that an operation
    can't pass; say why where you call this.
    """
    load_all_checks()
    # A piece of an upload (tus) is bytes like every other file; the library does not know its type.
    schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
    document = requests.get(f"{url}/openapi.json", timeout=LONGEST_ANSWER_SECONDS).json()
    _take_examples_out(document)
    _put_examples(document, examples or {})
    config = SchemathesisConfig.from_dict(
        _configuration(url, seed, cases, _rules(also_refused or {}, unchecked or {}))
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    if new_token is not None:
        _sign_in(schema, new_token)
    with _before_each_call(_use_no_key_twice, _through_gateway(proof)):
        findings = _run(schema, Findings(seed))
    who = "somebody signed in" if new_token is not None else "nobody signed in"
    sys.stdout.write(f"\n{document['info']['title']}, {who}: {findings.report()}\n")
    return findings


def _run(schema: Any, findings: Findings) -> Findings:
    for event in from_schema(schema).execute():
        match event:
            case events.FatalError():
                raise event.exception
            case events.NonFatalError():
                findings.failures[f"{event.label}: not tested"].append(str(event.info))
            case events.ScenarioFinished():
                findings.add(event.recorder)
            case _:
                pass
    return findings


def _configuration(url: str, seed: int, cases: int, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "seed": seed,
        "base-url": url,
        "workers": 1,  # With several, the order of requests and so the result would change from run to run.
        "continue-on-failure": True,
        "request-timeout": LONGEST_ANSWER_SECONDS,
        "generation": {"max-examples": cases, "database": "none", "no-shrink": True},
        "operations": rules,
    }


def _rules(
    also_refused: Mapping[str, Sequence[int]], unchecked: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    checks: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation, statuses in also_refused.items():
        checks[operation] |= {
            "positive_data_acceptance": {"expected-statuses": [*VALID_ANSWERS, *statuses]},
            "negative_data_rejection": {"expected-statuses": sorted({*INVALID_ANSWERS, *statuses}, key=str)},
        }
    for operation, names in unchecked.items():
        checks[operation] |= {name: {"enabled": False} for name in names}
    return [{"include-name": operation, "checks": chosen} for operation, chosen in checks.items()]


def _take_examples_out(document: dict[str, Any]) -> None:
    # They are there for people: a made-up id or token is no request that can work.
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        for shown in (
            *operation.get("parameters", ()),
            *operation.get("requestBody", {}).get("content", {}).values(),
        ):
            shown.pop("example", None)


def _put_examples(document: dict[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for operation, bodies in examples.items():
        method, path = operation.split(" ", 1)
        for content in document["paths"][path][method.lower()]["requestBody"]["content"].values():
            content["examples"] = {str(number): {"value": body} for number, body in enumerate(bodies)}


def _use_no_key_twice(_context: HookContext, case: Case[Any], _options: dict[str, Any]) -> None:
    # Of two valid requests with one key the second is refused, which no schema can spell.
    if IDEMPOTENCY_KEY in case.headers and case.meta and case.meta.generation.mode.is_positive:
        case.headers[IDEMPOTENCY_KEY] = str(uuid4())


def _through_gateway(proof: Proof) -> BeforeCall:
    def come_through_the_gateway(_context: HookContext, case: Case[Any], _options: dict[str, Any]) -> None:
        case.headers[GATEWAY_TOKEN_HEADER] = proof()

    return come_through_the_gateway


@contextmanager
def _before_each_call(*hooks: BeforeCall) -> Iterator[None]:
    for hook in hooks:
        schemathesis.hook("before_call")(hook)
    try:
        yield
    finally:
        for hook in hooks:
            unregister(hook)


def _sign_in(schema: Any, new_token: Callable[[], str]) -> None:
    """Send an access token with every request, and another one after it was refused."""
    token = new_token()

    class Bearer:
        def get(self, _case: Case[Any], _context: AuthContext) -> str:
            return token

        def set(self, case: Case[Any], data: str, _context: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
        nonlocal token
        sent = response.request.headers.get("Authorization") == f"Bearer {token}"
        # Signing out and deleting the account work, so the session of a token does not last for long.
        if sent and response.status_code == UNAUTHORIZED and case.operation.definition.raw.get("security"):
            token = new_token()

    schema.auth(refresh_interval=None)(Bearer)
    schema.hook("after_call")(after_call)
