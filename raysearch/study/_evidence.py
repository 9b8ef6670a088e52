"""Which kinds of evidence the evaluations of a study collect."""

from __future__ import annotations

from raysearch.errors import UserError, nearest
from raysearch.method import Method
from raysearch.thresholds import KINDS
from raysearch.training._evaluate import Rule, kinds_of

OPTIONAL = ("ranks", "components", "maps")


def evidence_kinds(method: type[Method], metric: str, keep: str | None) -> list[str]:
    """Kinds in their settled order: what the objective and the method's loss thresholds need, and what the user wants
    beside.

    Args:
        keep: ``--keep-evidence``: kinds of `OPTIONAL`, divided by commas.

    Raises:
        UserError: `keep` names something else.
    """
    kept = () if keep is None else tuple(keep.split(","))
    for name in kept:
        if name not in OPTIONAL:
            raise UserError(f"--keep-evidence {keep}: {_reason(name)}")
    kinds = kinds_of(Rule(metric=metric, evidence=kept), method)
    return [kind for kind in KINDS if kind in kinds]


def _reason(name: str) -> str:
    if name in KINDS:
        return f"{name} is kept whenever something needs it; leave it out"
    return f"unknown kind of evidence '{name}'; {nearest(name, OPTIONAL)}"
