"""Which searched numbers may change while a network is trained."""

from __future__ import annotations

from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution

from raysearch.errors import RaysearchError
from raysearch.method import Method, Task, upstream_plan
from raysearch.space import AnySpace, point_asking, settings_of


def mutable_numbers(space: AnySpace, method: type[Method], task: Task, epochs: int) -> list[str]:
    """Names of the searched numbers of kind train or loss, but for those of which another value needs other weights.

    At both ends of its range, everything else at its default, a number must leave the network with the same tensors,
    its stages with the same epochs, their optimisers with the same parameters, and the work that it builds on the same.
    One of which an end cannot be built is left out too.
    """
    out: list[str] = []
    for asked, distribution in space.distributions().items():
        name = asked.partition("[")[0]
        known = space.parameters.get(name)
        if name in out or not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.single():
            continue
        if known is not None and known.kind not in ("train", "loss"):
            continue
        try:
            low, high = (
                _form(space, method, task, epochs, asked, end) for end in (distribution.low, distribution.high)
            )
        except (RaysearchError, ValueError):
            continue
        if low == high:
            out.append(name)
    return out


def _form(space: AnySpace, method: type[Method], task: Task, epochs: int, asked: str, value: float) -> Any:
    """What weights and optimiser states of a training have to fit, with a number at a value."""
    config, _ = settings_of(space, {**point_asking(space, asked), asked: value})
    made = method(method.Config(**config), task)
    keys = [work["key"] for work in upstream_plan(method, made.config, seed=0)]
    model = made.build()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    stages = [
        (stage.name, stage.epochs, [[names[id(p)] for p in group["params"]] for group in optimizer.param_groups])
        for stage in made.stages(epochs)
        for optimizer in [stage.optimizer(model)]
    ]
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, stages, keys
