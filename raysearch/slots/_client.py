"""How a trial uses a slot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ray
from ray.exceptions import RayActorError

from raysearch.errors import RaysearchError


class SlotLostError(RuntimeError):
    """The worker group died or was retired under a trial: the trial may go on in another from its last checkpoint."""


class SlotsBrokenError(RaysearchError):
    """No worker group can be started any more; the message says why."""


class TrialFailedError(RuntimeError):
    """The trial's own work failed; its group goes on with other trials.

    Attributes:
        kind: ``non-finite``, ``out-of-memory``, ``refused`` (the method refused its settings), ``damaged`` (a file that
            it was to go on from), ``hangs``, ``overtime`` or ``error``.
        traceback: of the worker, or empty.
    """

    def __init__(self, kind: str, message: str, traceback: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.traceback = traceback


@dataclass(frozen=True)
class Lease:
    slot: int
    generation: str


class SlotClient:
    """A trial's view of the pool. Every call is awaited before the next.

    All methods raise SlotsBrokenError if the pool itself is gone: no trial can do anything about that.
    """

    def __init__(self, pool: str) -> None:
        self._name = pool

    def lease(self) -> Lease:
        """Waits for a free slot, and holds it until it is given back or this process dies.

        Raises:
            SlotsBrokenError: there will never be one.
        """
        answer = self._ask("lease", ray.get_runtime_context().current_actor)
        if isinstance(answer, str):
            raise SlotsBrokenError(f"no worker group could be started: {answer}")
        return Lease(*answer)

    def release(self, lease: Lease) -> None:
        self._ask("release", lease.slot, lease.generation)

    def call(self, lease: Lease, name: str, payload: Any = None, *, seconds: float | None = None) -> Any:
        """Runs a command in the leased group.

        Args:
            seconds: that it may take, or no limit.

        Raises:
            SlotLostError: the group is gone.
            TrialFailedError: the command failed; or it took too long, or hangs, and its group was killed.
        """
        answer = self._ask("call", lease.slot, lease.generation, name, payload, seconds)
        if "lost" in answer:
            raise SlotLostError(answer["lost"])
        if "error" in answer:
            error = answer["error"]
            raise TrialFailedError(error["kind"], error["message"], error["traceback"])
        return answer["value"]

    @cached_property
    def _pool(self) -> Any:
        return ray.get_actor(self._name)

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return ray.get(getattr(self._pool, method).remote(*arguments))
        except (RayActorError, ValueError) as error:  # ValueError: nobody is registered under its name
            raise SlotsBrokenError(f"the pool of slots died ({type(error).__name__})") from None
