"""A trial's view of the pool: answers become values or errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from raysearch.slots import _client
from raysearch.slots._client import Lease, SlotClient, SlotLostError, SlotsBrokenError, TrialFailedError

ERROR = {"kind": "non-finite", "message": "non-finite loss in epoch 2", "traceback": "Traceback"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> SlotClient:
    """Over a pool whose methods are looked up in `answers`."""
    monkeypatch.setattr(_client.ray, "get_actor", lambda name: Pool())
    monkeypatch.setattr(_client.ray, "get", _get)
    monkeypatch.setattr(
        _client.ray, "get_runtime_context", lambda: SimpleNamespace(current_actor="this process"), raising=False
    )
    return SlotClient("pool")


answers: dict[str, Any] = {}
asked: list[tuple[Any, ...]] = []


class Pool:
    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Any:
            asked.append((name, *arguments))
            return answers[name]

        return SimpleNamespace(remote=remote)


def _get(reference: Any) -> Any:
    if isinstance(reference, Exception):
        raise reference
    return reference


def test_a_lease_names_its_holder(client: SlotClient) -> None:
    answers["lease"] = (1, "g")
    assert client.lease() == Lease(1, "g")
    assert asked[-1] == ("lease", "this process")
    answers["lease"] = "no memory"
    with pytest.raises(SlotsBrokenError, match="no worker group could be started: no memory"):
        client.lease()


def test_answers_of_a_command(client: SlotClient) -> None:
    lease = Lease(1, "g")
    answers["call"] = {"value": 3}
    assert client.call(lease, "epoch", {}) == 3
    assert asked[-1] == ("call", 1, "g", "epoch", {}, None)
    answers["call"] = {"lost": "a worker died"}
    with pytest.raises(SlotLostError, match="a worker died"):
        client.call(lease, "epoch")
    answers["call"] = {"error": ERROR}
    with pytest.raises(TrialFailedError, match="non-finite loss in epoch 2") as caught:
        client.call(lease, "epoch")
    assert (caught.value.kind, caught.value.traceback) == ("non-finite", "Traceback")


def test_a_pool_that_died_is_not_the_fault_of_a_trial(client: SlotClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as lost groups, it would end every trial that is left as crashed."""
    for name in ("lease", "call", "release"):
        answers[name] = ActorDiedError()
    with pytest.raises(SlotsBrokenError, match="the pool of slots died"):
        client.lease()
    with pytest.raises(SlotsBrokenError):
        client.call(Lease(0, "g"), "epoch")
    with pytest.raises(SlotsBrokenError):
        client.release(Lease(0, "g"))

    def nobody(name: str) -> None:
        raise ValueError(f"Failed to look up actor with name '{name}'")

    monkeypatch.setattr(_client.ray, "get_actor", nobody)
    late = SlotClient("pool")
    with pytest.raises(SlotsBrokenError):
        late.lease()
