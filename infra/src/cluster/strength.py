"""Which secrets of a `.env` are too weak for production."""

from collections.abc import Iterable, Mapping

from cluster.errors import ClusterError

MINIMUM_LENGTH = 16
MINIMUM_DISTINCT_CHARACTERS = 6


def refuse_weak(values: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise a ClusterError that says which of these secrets are weak, when `values` are of production."""
    if values.get("ENVIRONMENT") != "production":
        return
    secrets = {name: values[name] for name in names}
    reasons = {name: _weakness(value, list(secrets.values())) for name, value in secrets.items()}
    weak = [f"{name} {reason}" for name, reason in reasons.items() if reason]
    if weak:
        raise ClusterError(
            f"Production refuses weak secrets: {'; '.join(weak)}. "
            "Delete these lines of .env and run `make env`, which fills them in."
        )


def _weakness(value: str, others: list[str]) -> str | None:
    if len(value) < MINIMUM_LENGTH:
        return f"is shorter than {MINIMUM_LENGTH} characters"
    # A text that occurs in its own double, the ends aside, repeats a part of itself.
    if len(set(value)) < MINIMUM_DISTINCT_CHARACTERS or value in (value + value)[1:-1]:
        return "is too regular to be random"
    return "stands for another secret too" if others.count(value) > 1 else None
