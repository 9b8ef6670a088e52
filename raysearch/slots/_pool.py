"""The pool: one small asynchronous actor that holds leases, commands and replies.

A slot is a place for a worker group; a *generation* is one worker group in it. Everything that goes through the pool
is tagged (slot, generation, command number), so that an answer of a group that died is never taken for the answer of
the group that replaced it. The order of calls from one caller is not kept by an asynchronous actor: callers await each
call.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raysearch._text import duration

PING_SECONDS = 0.5
START_FAILURES = 3
"""Worker groups of one slot that may fail to start, one after the other, before the slot is given up."""

Reply = dict[str, Any]


@dataclass
class _Group:
    """A worker group that is starting or up."""

    slot: int
    generation: str
    size: int
    members: dict[int, Any] = field(default_factory=dict)
    commands: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    pending: asyncio.Future[Reply] | None = None
    number: int = 0
    beat: float = 0.0
    """When it was last known to get on, of `time.monotonic`."""
    leased: bool = False
    holder: asyncio.Task[None] | None = None
    """Watches the process that leased it."""

    @property
    def whole(self) -> bool:
        return len(self.members) == self.size

    def answer(self, reply: Reply) -> None:
        """To whoever waits for one."""
        if self.pending is not None and not self.pending.done():
            self.pending.set_result(reply)

    def free(self) -> None:
        self.leased = False
        if self.holder is not None and self.holder is not asyncio.current_task():
            self.holder.cancel()
        self.holder = None


class Pool:
    """Runs as a Ray actor with ``num_cpus=0`` on the driver's node, and dies with the driver.

    Args:
        patience: seconds without a heartbeat after which a group that is busy hangs.
    """

    def __init__(self, slots: int, patience: float = math.inf) -> None:
        self._groups: dict[int, _Group] = {}
        self._slots = slots
        self._patience = patience
        self._failures: dict[int, int] = dict.fromkeys(range(slots), 0)
        self._broken: dict[int, str] = {}
        self._lost = 0
        self._started: set[tuple[int, str]] = set()
        self._retired: set[str] = set()
        self._placements: dict[int, PlacementGroup] = {}
        self._changed = asyncio.Condition()
        self._watchers: set[asyncio.Task[None]] = set()
        self._stopping = False

    # -- called by the workers of a group

    async def join(
        self, slot: int, generation: str, rank: int, size: int, member: Any, placement: PlacementGroup
    ) -> None:
        """A worker says that it is ready; with the last one the slot is free."""
        if generation in self._retired:
            return  # it came too late: the slot may belong to a successor
        self._placements[slot] = placement
        group = self._groups.get(slot)
        if group is not None and group.generation != generation:
            await self.retire(slot, group.generation, "another worker group took its place")
        group = self._groups.setdefault(slot, _Group(slot, generation, size))
        group.members[rank] = member
        self._in_background(self._watch(slot, generation, member))
        if self._stopping:  # it came up too late, and missed the order
            await group.commands.put({"name": "stop", "number": -1})
        if group.whole:
            self._failures[slot] = 0
            self._broken.pop(slot, None)
            self._started.add((slot, generation))
            async with self._changed:
                self._changed.notify_all()

    async def next(self, slot: int, generation: str) -> dict[str, Any]:
        """Rank 0 waits for its next command; a group that was replaced is told to stop."""
        group = self._group(slot, generation)
        if group is None:
            return {"name": "stop", "number": -1}
        return await group.commands.get()

    async def reply(self, slot: int, generation: str, number: int, answer: Reply) -> None:
        group = self._group(slot, generation)
        if group is not None and group.number == number:
            group.answer(answer)

    async def beat(self, slot: int, generation: str) -> None:
        """A worker has finished a step or a batch. Of several workers any may say so: one that hangs keeps the others
        waiting for it."""
        group = self._group(slot, generation)
        if group is not None:
            group.beat = time.monotonic()

    # -- called by trials

    async def lease(self, holder: Any) -> tuple[int, str] | str:
        """Waits for a free slot: (slot, generation), or the reason why there will never be one.

        Args:
            holder: the actor that asks. If it dies with the lease in hand, or while it waits for one, nobody would give
                the slot back.
        """
        async with self._changed:
            while True:
                if self._stopping:
                    return "the study is stopping"
                if len(self._broken) == self._slots:
                    return next(iter(self._broken.values()))
                for group in self._groups.values():
                    if group.whole and not group.leased:
                        group.leased = True
                        group.holder = self._in_background(self._watch_holder(group, holder))
                        return group.slot, group.generation
                await self._changed.wait()

    async def release(self, slot: int, generation: str) -> None:
        group = self._group(slot, generation)
        if group is not None:
            group.free()
            async with self._changed:
                self._changed.notify_all()

    async def call(self, slot: int, generation: str, name: str, payload: Any, seconds: float | None = None) -> Reply:
        """Hands a command to a group and waits for its answer; ``{"lost": reason}`` if the group is gone.

        One that takes longer than `seconds`, or hangs, is an error, and its group is killed: nothing else ends a thread
        that is inside of compiled code.
        """
        group = self._group(slot, generation)
        if group is None or self._stopping:
            return {"lost": "its worker group is gone"}
        group.answer({"lost": "another command took its place"})
        group.number += 1
        group.pending = asyncio.get_running_loop().create_future()
        await group.commands.put({"name": name, "number": group.number, "payload": payload})
        return await self._answer(group, group.pending, math.inf if seconds is None else time.monotonic() + seconds)

    # -- called by keepers and by the driver

    async def retire(self, slot: int, generation: str | None, reason: str) -> None:
        """Takes a group out of service: whoever waits for its answer is told that it is lost."""
        group = self._groups.get(slot)
        if group is None or (generation is not None and group.generation != generation):
            return
        del self._groups[slot]
        self._retired.add(group.generation)
        self._lost += 1
        group.free()
        group.answer({"lost": reason})
        await group.commands.put({"name": "stop", "number": -1})

    async def vacate(self, slot: int) -> None:
        """A keeper begins: gives back what a predecessor that was lost with its node has left in the slot. Ray moves a
        group's place to another node when its own dies, and keeps it there until the driver ends."""
        group = self._groups.get(slot)
        if group is not None:
            await self.retire(slot, group.generation, "its keeper died")
        placement = self._placements.pop(slot, None)
        if placement is not None:
            remove_placement_group(placement)

    async def failed_to_start(self, slot: int, reason: str) -> None:
        """A group ended before it was whole; after `START_FAILURES` in a row the slot is given up."""
        group = self._groups.get(slot)
        if group is not None and not group.whole:
            await self.retire(slot, group.generation, reason)
        self._failures[slot] += 1
        if self._failures[slot] >= START_FAILURES:
            self._broken[slot] = reason
            async with self._changed:
                self._changed.notify_all()

    async def status(self) -> dict[str, Any]:
        """Counts for the display and for the deadline at the start."""
        up = [g for g in self._groups.values() if g.whole]
        return {
            "up": len(up),
            "leased": sum(g.leased for g in up),
            "lost": self._lost,
            "broken": dict(self._broken),
            "generations": {g.slot: g.generation for g in up},
        }

    async def is_up(self, slot: int, generation: str) -> bool:
        """Whether a generation is whole and in service."""
        group = self._group(slot, generation)
        return group is not None and group.whole

    async def was_up(self, slot: int, generation: str) -> bool:
        """Whether a generation ever was whole; a group that dies later is replaced without limit."""
        return (slot, generation) in self._started

    async def stop(self) -> None:
        """Ends all groups after their current command."""
        self._stopping = True
        for group in self._groups.values():
            await group.commands.put({"name": "stop", "number": -1})
        async with self._changed:
            self._changed.notify_all()

    async def _answer(self, group: _Group, pending: asyncio.Future[Reply], deadline: float) -> Reply:
        group.beat = time.monotonic()
        while not pending.done():
            now = time.monotonic()
            if now >= deadline:
                return await self._kill(group, "overtime", "it took too long")
            if now >= group.beat + self._patience:
                return await self._kill(
                    group,
                    "hangs",
                    f"no training step and no batch was finished for {duration(self._patience)} (--step-time)",
                )
            left = min(deadline, group.beat + self._patience) - now
            await asyncio.wait([pending], timeout=None if math.isinf(left) else left)
        return pending.result()

    async def _kill(self, group: _Group, kind: str, reason: str) -> Reply:
        """Ends a group that does not answer, and says why. If it has not even taken the command, then it is not this
        trial's work that it is busy with."""
        taken = group.commands.empty()
        await self.retire(group.slot, group.generation, reason)
        for member in group.members.values():
            ray.kill(member)
        return {"error": {"kind": kind, "message": reason, "traceback": ""}} if taken else {"lost": reason}

    def _group(self, slot: int, generation: str) -> _Group | None:
        group = self._groups.get(slot)
        return group if group is not None and group.generation == generation else None

    def _in_background(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)
        return task

    async def _watch(self, slot: int, generation: str, member: Any) -> None:
        """Sees a worker die within a second; Ray Train itself takes about twelve."""
        while self._group(slot, generation) is not None:
            try:
                await member.__ray_ready__.remote()
            except RayActorError as error:
                await self.retire(slot, generation, f"a worker died ({type(error).__name__})")
                return
            await asyncio.sleep(PING_SECONDS)

    async def _watch_holder(self, group: _Group, holder: Any) -> None:
        """Takes a lease back from a process that died: its trial is let go, and the slot is free."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            try:
                await holder.__ray_ready__.remote()
            except ActorUnavailableError:
                continue  # it may come back, and would go on with its trial
            except RayActorError:
                break
        await self.call(group.slot, group.generation, "end", None)
        await self.release(group.slot, group.generation)
