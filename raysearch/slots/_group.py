"""What runs inside a worker group: a loop that takes commands and lends its process to one trial after another."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from raysearch._signals import unblock_in_children
from raysearch.errors import DamagedFileError, RaysearchError
from raysearch.slots._failure import reason_of, text_of, trace_of
from raysearch.slots._spec import GroupSpec
from raysearch.training import Alone, Collective, NonFiniteLossError, ProcessGroup, Workload, broadcast

TOGETHER = ("epoch", "upstream_epoch")
"""Commands in which the workers of a group wait for one another; in all others each does the same by itself."""

_LIBRARY = re.compile("CUDA|CUDNN|CUBLAS|CUSOLVER|CUSPARSE|CUFFT|cuDNN|cuBLAS")
"""As CUDA's libraries write their names in errors. Devices and types (``cuda:0``, ``torch.cuda.FloatTensor``) are named
in those of a method's own mistakes too."""


BEAT_SECONDS = 5.0
"""Between two heartbeats that a worker sends, or a tenth of the patience with it if that is less."""


class RetiredError(RuntimeError):
    """Ends a worker group that cannot be trusted with another trial, so that its successor starts clean."""


def worker_loop(config: dict[str, Any]) -> None:
    """The training function that Ray Train runs in each worker of a group, for as long as the group lives."""
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    spec: GroupSpec = config["spec"]
    slot, generation = config["slot"], config["generation"]
    pool = ray.get_actor(config["pool"])
    unblock_in_children()
    torch.set_num_threads(max(1, int(spec.cpus)))
    device = ray.train.torch.get_device()
    if device.type == "cuda" and spec.gpus < 1:
        torch.cuda.set_per_process_memory_fraction(spec.gpus, device)
    collective: Collective = ProcessGroup() if size > 1 and dist.is_initialized() else Alone()
    beat = at_most_every(min(BEAT_SECONDS, spec.patience / 10), lambda: pool.beat.remote(slot, generation))
    workload = Workload(spec.workload, device=device, collective=collective, heartbeat=beat)
    gc.collect()
    gc.freeze()  # modules and data live as long as the process: a collection that looked at them would take 0.3 s
    member, placement = ray.get_runtime_context().current_actor, ray.util.get_current_placement_group()
    ray.get(pool.join.remote(slot, generation, rank, size, member, placement))
    while True:
        command = _unpack(ray.get(pool.next.remote(slot, generation))) if rank == 0 else None
        command = broadcast(command, collective)
        if command["name"] == "stop":
            return
        answer = _run(workload, command["name"], command["payload"], alone=size == 1)
        if command["name"] not in TOGETHER:
            answer = _agreed(answer, collective)
        retire = "error" in answer and answer["error"]["retire"]
        if rank == 0 or retire:
            ray.get(pool.reply.remote(slot, generation, command["number"], answer))
        if retire:
            ray.get(pool.retire.remote(slot, generation, answer["error"]["message"]))
            raise RetiredError(answer["error"]["message"])
        if command["name"] in ("end", "park", "upstream_outcome"):
            _give_memory_back()  # after the answer: the driver has the next trial to prepare meanwhile


def at_most_every(seconds: float, call: Callable[[], object]) -> Callable[[], None]:
    """`call`, which does nothing for some seconds after it did something."""
    due = float("-inf")

    def beat() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + seconds
            call()

    return beat


def _run(workload: Workload, name: str, payload: Any, *, alone: bool) -> dict[str, Any]:
    """One command; an exception becomes an answer that says whether the group can go on.

    An error that only one of several workers saw leaves the others inside a collective operation: the group is retired.
    What is refused outside of those leaves all workers where they wait for the next command.
    """
    apart = alone or name not in TOGETHER
    try:
        return {"value": _pack(workload.run(name, payload))}
    except NonFiniteLossError as error:  # agreed on by all workers
        return _error("non-finite", error, retire=False)
    except DamagedFileError as error:
        return _error("damaged", error, retire=not apart)
    except RaysearchError as error:
        return _error("refused", error, retire=not apart)
    except torch.cuda.OutOfMemoryError as error:
        return _error("out-of-memory", error, retire=True)
    except BaseException as error:  # the method's own code, which may call sys.exit: its trial fails, the study goes on
        return _error("error", error, retire=not alone or _breaks_device(error))


def _agreed(answer: dict[str, Any], collective: Collective) -> dict[str, Any]:
    """A worker's answer, or the error of the first one that failed, of those that end the group if there are any: a
    file may be missing, or memory short, on one node alone."""
    errors = [error for error in collective.gather(answer.get("error")) if error is not None]
    return {"error": max(errors, key=lambda error: error["retire"])} if errors else answer


def _breaks_device(error: BaseException) -> bool:
    """Whether an error of CUDA or one of its libraries, after which a process cannot use its device again."""
    return isinstance(error, torch.AcceleratorError) or _LIBRARY.search(text_of(error)) is not None


def _give_memory_back() -> None:
    """Frees what a trial left behind, whose method may have made reference cycles; a collection takes less than 1 ms.
    Nothing is frozen here: a trial that is parked is alive, and would never be freed if it was in a cycle."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _pack(value: Any) -> Any:
    """Checkpoints and outcomes travel through the object store, not through the pool."""
    if isinstance(value, dict):
        return {k: ray.put(v) if k in ("checkpoint", "outcome") else v for k, v in value.items()}
    return value


def _unpack(command: dict[str, Any]) -> dict[str, Any]:
    """Fetches what the caller has put into the object store: the pool passes references on."""
    payload = command.get("payload")
    if isinstance(payload, dict):
        fetched = {k: ray.get(v) if isinstance(v, ray.ObjectRef) else v for k, v in payload.items()}
        return {**command, "payload": fetched}
    return command


def _error(kind: str, error: BaseException, *, retire: bool) -> dict[str, Any]:
    trace = "" if isinstance(error, RaysearchError) else trace_of(error)
    return {"error": {"kind": kind, "message": reason_of(error), "traceback": trace, "retire": retire}}
