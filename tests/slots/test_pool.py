"""The pool without Ray: actors are stand-ins that answer a ping or have died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from raysearch.slots import _pool
from raysearch.slots._pool import START_FAILURES, Pool

STOP = {"name": "stop", "number": -1}


class Actor:
    """A worker, or the process of a trial."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.pings = 0
        self.killed = False
        self.__ray_ready__ = SimpleNamespace(remote=self._ping)

    async def _ping(self) -> None:
        self.pings += 1
        if self.error is not None:
            raise self.error

    def kill(self) -> None:
        self.killed = True
        self.die()

    def die(self) -> None:
        self.error = ActorDiedError()


class Group:
    """A worker group: rank 0 answers commands with ``value(name, payload)`` when it is told to go on."""

    def __init__(self, pool: Pool, slot: int, generation: str, size: int = 1) -> None:
        self.pool, self.slot, self.generation, self.size = pool, slot, generation, size
        self.members = [Actor() for _ in range(size)]
        self.done: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.taken = asyncio.Event()
        self.loop: asyncio.Task[None] | None = None

    async def join(self, *ranks: int) -> Group:
        for rank in ranks or range(self.size):
            await self.pool.join(self.slot, self.generation, rank, self.size, self.members[rank], None)  # type: ignore[arg-type]
        self.loop = asyncio.create_task(self._run())
        return self

    async def begin_epoch(self, payload: Any = None) -> asyncio.Task[dict[str, Any]]:
        """A trial's call for an epoch, which the group has taken and does not answer before it may."""
        self.may_answer.clear()
        call = asyncio.create_task(self.pool.call(self.slot, self.generation, "epoch", payload))
        await self.taken.wait()
        return call

    async def _run(self) -> None:
        while True:
            command = await self.pool.next(self.slot, self.generation)
            if command["name"] == "stop":
                self.done.append("stop")
                return
            self.taken.set()
            await self.may_answer.wait()
            self.done.append(command["name"])
            answer = {"value": (self.generation, command["name"], command["payload"])}
            await self.pool.reply(self.slot, self.generation, command["number"], answer)


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an asynchronous test, for ten seconds at most."""

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_pool, "PING_SECONDS", 0.001)
        monkeypatch.setattr(_pool.ray, "kill", Actor.kill)
        asyncio.run(asyncio.wait_for(test(), 10))  # type: ignore[arg-type]

    run.__name__ = test.__name__
    return run


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def leased(pool: Pool, holder: Actor | None = None) -> tuple[int, str]:
    answer = await asyncio.wait_for(pool.lease(holder or Actor()), 5)
    assert not isinstance(answer, str), answer
    return answer


@in_a_loop
async def test_a_lease_is_for_one_trial_at_a_time() -> None:
    pool = Pool(1)
    waiting = asyncio.create_task(pool.lease(Actor()))
    await asyncio.sleep(0.01)
    assert not waiting.done(), "there is no group yet"
    await Group(pool, 0, "a").join()
    assert await waiting == (0, "a")
    second = asyncio.create_task(pool.lease(Actor()))
    await asyncio.sleep(0.01)
    assert not second.done()
    await pool.release(0, "a")
    assert await asyncio.wait_for(second, 5) == (0, "a")


@in_a_loop
async def test_no_wake_up_is_lost() -> None:
    """Many trials over few slots, released in no order: all of them get their turn."""
    pool = Pool(3)
    for slot in range(3):
        await Group(pool, slot, f"g{slot}").join()
    using: set[int] = set()
    turns = 0

    async def trial(number: int) -> None:
        nonlocal turns
        for _ in range(5):
            slot, generation = await leased(pool)
            assert slot not in using
            using.add(slot)
            answer = await pool.call(slot, generation, "epoch", number)
            assert answer == {"value": (generation, "epoch", number)}
            await asyncio.sleep(0.0001 * (number % 3))
            using.remove(slot)
            turns += 1
            await pool.release(slot, generation)

    await asyncio.gather(*(trial(number) for number in range(10)))
    assert turns == 50
    assert (await pool.status())["leased"] == 0


@in_a_loop
async def test_a_group_is_free_when_its_last_worker_has_joined() -> None:
    pool = Pool(1)
    group = Group(pool, 0, "a", size=2)
    await group.join(0)
    waiting = asyncio.create_task(pool.lease(Actor()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert not await pool.is_up(0, "a")
    await pool.join(0, "a", 1, 2, group.members[1], None)  # type: ignore[arg-type]
    assert await asyncio.wait_for(waiting, 5) == (0, "a")
    assert await pool.is_up(0, "a")


@in_a_loop
async def test_a_worker_that_dies_in_a_command_loses_it() -> None:
    pool = Pool(1)
    group = await Group(pool, 0, "a", size=2).join()
    slot, generation = await leased(pool)
    call = await group.begin_epoch()
    group.members[1].die()
    answer = await asyncio.wait_for(call, 5)
    assert answer == {"lost": "a worker died (ActorDiedError)"}
    assert await pool.call(slot, generation, "end", None) == {"lost": "its worker group is gone"}
    await pool.release(slot, generation)
    assert (await pool.status())["lost"] == 1
    group.may_answer.set()
    assert group.loop is not None
    await asyncio.wait_for(group.loop, 5)
    assert group.done == ["epoch", "stop"], "what is left of the group ends"


@in_a_loop
async def test_a_reply_of_a_dead_generation_is_not_taken() -> None:
    pool = Pool(1)
    old = await Group(pool, 0, "old").join()
    await leased(pool)
    lost = await old.begin_epoch("old")
    await pool.retire(0, "old", "it ended")
    assert await lost == {"lost": "it ended"}
    new = await Group(pool, 0, "new").join()
    _, generation = await leased(pool)
    assert generation == "new"
    call = await new.begin_epoch("new")
    await pool.reply(0, "old", 1, {"value": "of the dead"})  # the same slot, the same number
    await pool.reply(0, "new", 0, {"value": "of another command"})
    assert not call.done()
    new.may_answer.set()
    assert await call == {"value": ("new", "epoch", "new")}


@in_a_loop
async def test_a_worker_that_joins_after_its_group_was_retired_takes_nobodys_place() -> None:
    pool = Pool(1)
    old = Group(pool, 0, "old", size=2)
    await old.join(0)
    await pool.retire(0, "old", "a worker died")
    await Group(pool, 0, "new").join()
    await pool.join(0, "old", 1, 2, old.members[1], None)  # type: ignore[arg-type]
    assert (await pool.status())["generations"] == {0: "new"}
    assert await pool.next(0, "old") == STOP


@in_a_loop
async def test_a_successor_that_comes_before_the_end_was_seen() -> None:
    """A keeper that Ray started again knows nothing of the groups of its predecessor."""
    pool = Pool(1)
    old = await Group(pool, 0, "old").join()
    await leased(pool)
    call = await old.begin_epoch()
    await Group(pool, 0, "new").join()
    assert "lost" in await asyncio.wait_for(call, 5)
    assert await leased(pool) == (0, "new")


@in_a_loop
async def test_a_trial_that_dies_gives_its_slot_back() -> None:
    pool = Pool(1)
    group = await Group(pool, 0, "a").join()
    holder = Actor()
    await leased(pool, holder)
    call = await group.begin_epoch()
    holder.die()
    assert "lost" in await asyncio.wait_for(call, 5)
    waiting = asyncio.create_task(pool.lease(Actor()))
    await asyncio.sleep(0.02)
    assert not waiting.done(), "its epoch is still being trained"
    group.may_answer.set()
    assert await asyncio.wait_for(waiting, 5) == (0, "a")
    assert group.done == ["epoch", "end"], "the dead trial's memory was given back"


@in_a_loop
async def test_a_trial_that_died_while_it_waited_gives_its_slot_back() -> None:
    pool = Pool(1)
    await Group(pool, 0, "a").join()
    await leased(pool)
    dead = Actor()
    waiting = asyncio.create_task(pool.lease(dead))
    await asyncio.sleep(0.005)
    dead.die()
    await pool.release(0, "a")
    assert await waiting == (0, "a"), "nobody takes this answer"
    assert await leased(pool) == (0, "a")


@in_a_loop
async def test_a_trial_out_of_reach_keeps_its_slot() -> None:
    pool = Pool(1)
    await Group(pool, 0, "a").join()
    holder = Actor()
    slot, generation = await leased(pool, holder)
    holder.error = ActorUnavailableError("network", None)
    await until(lambda: holder.pings > 5)
    assert (await pool.status())["leased"] == 1
    assert "value" in await pool.call(slot, generation, "epoch", None)


@in_a_loop
async def test_a_process_that_gave_its_slot_back_is_let_go() -> None:
    """As long as the pool watches an actor, Ray does not end it."""
    pool = Pool(1)
    await Group(pool, 0, "a").join()
    holder = Actor()
    slot, generation = await leased(pool, holder)
    await until(lambda: holder.pings)
    await pool.release(slot, generation)
    pings = holder.pings
    await asyncio.sleep(0.02)
    assert holder.pings <= pings + 1
    assert len(pool._watchers) == 1, "that of the worker"


@in_a_loop
async def test_a_slot_is_given_up_after_some_failures_to_start() -> None:
    pool = Pool(2)
    waiting = asyncio.create_task(pool.lease(Actor()))
    for _ in range(START_FAILURES):
        await pool.failed_to_start(0, "no memory")
    await asyncio.sleep(0.01)
    assert not waiting.done(), "there is another slot"
    for _ in range(START_FAILURES):
        await pool.failed_to_start(1, "no GPU")
    assert await asyncio.wait_for(waiting, 5) == "no memory"


@in_a_loop
async def test_failures_before_a_success_do_not_count() -> None:
    pool = Pool(1)
    for round_ in range(4):
        for _ in range(START_FAILURES - 1):
            await pool.failed_to_start(0, "no memory")
        await Group(pool, 0, f"g{round_}").join()
        assert await leased(pool) == (0, f"g{round_}")
        await pool.retire(0, f"g{round_}", "a worker died")
    assert await pool.was_up(0, "g3")
    assert not await pool.was_up(0, "g9")


@in_a_loop
async def test_a_slot_that_was_given_up_and_came_up_after_all_is_used() -> None:
    pool = Pool(1)
    for _ in range(START_FAILURES):
        await pool.failed_to_start(0, "no memory")
    await Group(pool, 0, "late").join()
    assert await leased(pool) == (0, "late")


@in_a_loop
async def test_a_group_of_which_one_worker_never_came_has_failed_to_start() -> None:
    pool = Pool(1)
    for attempt in range(START_FAILURES):
        generation = f"g{attempt}"
        half = await Group(pool, 0, generation, size=2).join(0)
        # what the keeper does when the group has ended
        assert not await pool.is_up(0, generation)
        assert not await pool.was_up(0, generation)
        await pool.failed_to_start(0, "no data here")
        assert half.loop is not None
        await asyncio.wait_for(half.loop, 5)
    assert await pool.lease(Actor()) == "no data here"


@in_a_loop
async def test_stop_ends_groups_and_waiting_trials() -> None:
    pool = Pool(1)
    group = await Group(pool, 0, "a").join()
    slot, generation = await leased(pool)
    waiting = asyncio.create_task(pool.lease(Actor()))
    call = await group.begin_epoch(1)
    await pool.stop()
    assert await asyncio.wait_for(waiting, 5) == "the study is stopping"
    group.may_answer.set()
    assert await asyncio.wait_for(call, 5) == {"value": ("a", "epoch", 1)}, "the command that runs is finished"
    assert group.loop is not None
    await asyncio.wait_for(group.loop, 5)
    assert "lost" in await asyncio.wait_for(pool.call(slot, generation, "end", None), 5), "nobody is left to answer"


@in_a_loop
async def test_a_command_that_takes_too_long_ends_its_group() -> None:
    pool = Pool(1)
    group = await Group(pool, 0, "a", size=2).join()
    slot, generation = await leased(pool)
    assert "value" in await pool.call(slot, generation, "start", None, 100.0)
    group.may_answer.clear()
    answer = await asyncio.wait_for(pool.call(slot, generation, "epoch", None, 0.02), 5)
    assert answer["error"]["kind"] == "overtime"
    assert [member.killed for member in group.members] == [True, True]
    assert await pool.call(slot, generation, "end", None) == {"lost": "its worker group is gone"}
    await pool.release(slot, generation)
    await Group(pool, 0, "b").join()
    assert await leased(pool) == (0, "b"), "the slot serves the next trial"


class Clock:
    """Stands still until it is told to go on, whatever the machine is busy with."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@in_a_loop
async def test_a_group_without_a_heartbeat_hangs() -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "time", clock)
        pool = Pool(1, patience=0.05)
        group = await Group(pool, 0, "a", size=2).join()
        slot, generation = await leased(pool)
        call = await group.begin_epoch()
        for _ in range(3):
            clock.now += 0.04
            await pool.beat(slot, generation)
            await asyncio.sleep(0.06)
        assert not call.done(), "it gets on, however long it takes"
        clock.now += 0.05
        answer = await asyncio.wait_for(call, 5)
    assert answer["error"] == {
        "kind": "hangs",
        "message": "no training step and no batch was finished for 0.05s (--step-time)",
        "traceback": "",
    }
    assert [member.killed for member in group.members] == [True, True]


@in_a_loop
async def test_a_group_that_waits_for_a_trial_does_not_hang() -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "time", clock)
        pool = Pool(1, patience=0.05)
        await Group(pool, 0, "a").join()
        slot, generation = await leased(pool)
        clock.now += 100
        assert "value" in await pool.call(slot, generation, "epoch", None)


@in_a_loop
async def test_a_group_that_hangs_in_what_it_did_before_fails_no_trial() -> None:
    pool = Pool(1, patience=0.05)
    group = Group(pool, 0, "a")
    await pool.join(0, "a", 0, 1, group.members[0], None)  # type: ignore[arg-type]
    slot, generation = await leased(pool)
    answer = await asyncio.wait_for(pool.call(slot, generation, "start", None), 5)
    assert "no training step" in answer["lost"], "nobody has taken the command"
    assert group.members[0].killed


@in_a_loop
async def test_a_dead_trials_group_that_hangs_gives_its_slot_back() -> None:
    pool = Pool(1, patience=0.05)
    group = await Group(pool, 0, "a").join()
    holder = Actor()
    await leased(pool, holder)
    call = await group.begin_epoch()
    holder.die()
    assert {"lost", "error"} & (await asyncio.wait_for(call, 5)).keys()
    await until(lambda: group.members[0].killed)
    assert (await pool.status())["leased"] == 0


@in_a_loop
async def test_all_workers_of_a_group_retire_it() -> None:
    """What they have met is told once, and the group is lost once, whoever comes first."""
    pool = Pool(1)
    group = await Group(pool, 0, "a", size=2).join()
    slot, generation = await leased(pool)
    call = await group.begin_epoch()
    refused = [{"error": {"kind": "refused", "message": f"image {rank}"}} for rank in (0, 1)]
    for rank in (1, 0):
        await pool.reply(slot, generation, 1, refused[rank])
        await pool.retire(slot, generation, f"image {rank}")
    assert await asyncio.wait_for(call, 5) == refused[1]
    assert (await pool.status())["lost"] == 1
    group.may_answer.set()
    assert group.loop is not None
    await asyncio.wait_for(group.loop, 5)
