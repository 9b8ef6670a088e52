"""Where threshold steps run: beside the slots, so that a GPU trains while thresholds are thought about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysearch.alternation import Next, Outcome, Proposal, StepRule, Thresholds, threshold_step

STEPS_AT_A_TIME = 8
POLL_SECONDS = 0.1


class Thinker:
    """Runs as a Ray actor on the driver's node, where the trials' folders are; it holds no CPU and no torch. An actor
    rather than tasks: a task may find no warm process, and starting one takes longer than the step."""

    def step(self, rule: StepRule, number: int, current: Thresholds, history: list[Outcome], evidence: str) -> Proposal:
        return threshold_step(rule, number, current, history, Path(evidence))

    def warm_up(self, rule: StepRule) -> None:
        """Returns once the process is up and has imported what the steps need."""
        if rule.proposer == "search":
            import optuna  # noqa: F401


class StepFailedError(RuntimeError):
    """A threshold step ended without a proposal."""


class ThresholdSteps:
    """Starts threshold steps of a study and collects their proposals."""

    def __init__(self, rule: StepRule) -> None:
        self._rule = rule
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._thinker: Any = (
            ray.remote(Thinker)
            .options(num_cpus=0, max_restarts=-1, max_concurrency=STEPS_AT_A_TIME, scheduling_strategy=here)
            .remote()
        )
        self._thinker.warm_up.remote(rule)

    def start(self, number: int, following: Next, history: tuple[Outcome, ...], evidence: Path) -> ray.ObjectRef:
        """Begins the step of a trial at the end of a round."""
        return self._thinker.step.remote(self._rule, number, following.thresholds, list(history), str(evidence))

    def ready(self, step: ray.ObjectRef, *, seconds: float = 0.0) -> bool:
        """Whether a step is done, waiting for at most some seconds."""
        done, _ = ray.wait([step], timeout=seconds)
        return bool(done)

    def proposal(self, step: ray.ObjectRef) -> Proposal:
        """What a step that is done proposes.

        Raises:
            StepFailedError: whatever went wrong in it, in one line.
        """
        try:
            return ray.get(step)  # type: ignore[no-any-return]
        except Exception as error:  # a step may meet anything; its trial goes on as it is
            cause = getattr(error, "cause", None) or error
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
            raise StepFailedError(f"the threshold step failed ({reason}): the thresholds stay as they are") from None
