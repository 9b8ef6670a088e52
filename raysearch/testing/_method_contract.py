"""What the engine relies on in a method, as tests.

Subclass it in a test module and name the method::

    class TestMine(MethodContract):
        method = MyMethod
        config = {"backbone": "resnet10_slim", "weights": "random"}

The configuration should be small: each test builds the network at least once.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import optuna
import pytest
import torch
from torch import Tensor, nn

from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step
from raysearch.space import load_space, presets
from raysearch.testing._synthetic import synthetic_batch, synthetic_task


class MethodContract:
    """Base of a test class; pytest collects the subclass, whose name starts with ``Test``."""

    method: ClassVar[type[Method]]
    """The class under test."""
    config: ClassVar[Mapping[str, Any]] = {}
    """Settings for `method.Config`."""
    steps: ClassVar[int] = 30
    """Steps on one batch after which the loss has to be lower."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference between an image's maps alone and in a batch (kernels differ by batch size)."""

    def test_class_attributes(self) -> None:
        method = self.method
        assert re.fullmatch(r"[a-z0-9_]+", method.name), "name: [a-z0-9_]+"
        assert method.title, "title: one line"
        assert "\n" not in method.title
        assert method.view in ("single", "multi")
        assert method.supervision in ("image", "region", "pixel", "none")
        for name, default in method.decision_thresholds.items():
            assert 0 <= default <= 1, f"decision threshold {name} acts on maps in [0, 1]"
        fields = {field.name for field in dataclasses.fields(method.Config)}
        assert {t.name for t in method.loss_thresholds} <= fields, "loss thresholds are fields of Config"

    def test_config_is_strict_data(self) -> None:
        config = self.method.Config(**self.config)
        assert dataclasses.is_dataclass(config)
        for field in dataclasses.fields(config):
            assert field.kw_only, f"Config.{field.name} has to be keyword-only"
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(config, field.name, None)
        with pytest.raises(TypeError):
            self.method.Config(**self.config, no_such_setting=1)
        assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301

    def test_batch_size_and_augmentation(self) -> None:
        method = _make(self)
        assert method.batch_size >= 1
        assert isinstance(method.augmentation(), Augmentation)

    def test_build_depends_on_the_seed_alone(self) -> None:
        method = _make(self)
        first, second = _build(method, seed=1), _build(method, seed=1)
        assert all(p.device.type == "cpu" for p in first.parameters())
        _assert_equal(first.state_dict(), second.state_dict())

    def test_state_dict_is_the_checkpoint(self) -> None:
        # two objects, as in two processes: nothing that matters may live outside the state_dict
        method, other = _make(self), _make(self)
        images = synthetic_batch(self.method, method.task).images
        source, target = _build(method, seed=1), _build(other, seed=2)
        target.load_state_dict(copy.deepcopy(source.state_dict()))
        before, after = method.predict(source.eval(), images), other.predict(target.eval(), images)
        torch.testing.assert_close(after.scores, before.scores, rtol=0, atol=0)
        torch.testing.assert_close(after.maps, before.maps, rtol=0, atol=0)

    def test_stages(self) -> None:
        method = _make(self)
        model = _build(method)
        stages = list(method.stages(12))
        if self.method.supervision == "none":
            assert stages == [], "a method without supervision trains nothing"
            return
        assert sum(stage.epochs for stage in stages) == 12
        assert len({stage.name for stage in stages}) == len(stages), "stage names differ"
        own = {id(parameter) for parameter in model.parameters()}
        for stage in stages:
            optimizer = stage.optimizer(model)
            trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            assert trained, f"stage {stage.name} trains nothing"
            assert {id(parameter) for parameter in trained} <= own
            if stage.schedule is not None:
                schedule = stage.schedule(optimizer)
                optimizer.step()
                schedule.step()

    def test_training_step(self) -> None:
        for stage in _stages(self):
            method, model, batch = _setting(self)
            trained = _freeze(model, stage.optimizer(model))
            losses, calls = _take_step(method, model, batch, stage)
            assert calls >= 1, "training_step has to call step.backward"
            assert "loss" in losses
            for name, value in losses.items():
                assert value.ndim == 0, f"{name} has to be a scalar"
                assert bool(torch.isfinite(value)), f"{name} is {float(value)}"
            touched = {id(p) for p in model.parameters() if p.grad is not None and bool(p.grad.any())}
            assert touched, "no parameter has a gradient"
            assert touched <= trained, "a frozen parameter has a gradient"
            assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in model.parameters())

    def test_training_step_on_images_of_which_no_region_is_known(self) -> None:
        if self.method.supervision not in ("region", "pixel"):
            return
        for stage in _stages(self):
            method, model, batch = _setting(self)
            assert batch.masks is not None
            assert batch.truth is not None
            unknown = dataclasses.replace(batch, masks=batch.masks[:0], truth=torch.full_like(batch.truth, -1))
            losses, _ = _take_step(method, model, unknown, stage)
            for name, value in losses.items():
                assert bool(torch.isfinite(value)), f"{name} is {float(value)} where no region is known"

    def test_equal_seeds_give_equal_steps(self) -> None:
        for stage in _stages(self):
            runs = []
            for _ in range(2):
                method, model, batch = _setting(self)
                losses, _ = _train(method, model, batch, stage, steps=2)
                runs.append((losses, model.state_dict()))
            assert runs[0][0] == runs[1][0]
            _assert_equal(runs[0][1], runs[1][1])

    def test_loss_falls_on_one_batch(self) -> None:
        for stage in _stages(self):
            method, model, batch = _setting(self)
            losses, _ = _train(method, model, batch, stage, steps=self.steps)
            quarter = max(1, self.steps // 4)
            first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
            assert last < first, f"stage {stage.name}: the mean loss went from {first:.4g} to {last:.4g}"

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("size", [(32, 32), (48, 32), (37, 45)])
    def test_predict_shapes_and_ranges(self, channels: int, size: tuple[int, int]) -> None:
        method = _make(self, channels=channels, size=size)
        batch = synthetic_batch(self.method, method.task)
        prediction = method.predict(_build(method).eval(), batch.images)
        count, classes = len(batch.images), len(method.task.classes)
        assert isinstance(prediction, Prediction)
        assert prediction.scores.shape == (count, classes)
        assert prediction.maps.shape in ((count, 1, *size), (count, classes, *size))
        for name, value in (("scores", prediction.scores), ("maps", prediction.maps)):
            assert value.dtype == torch.float32, f"{name} have to be float32"
            assert not value.requires_grad
            assert bool(torch.isfinite(value).all()), f"{name} have to be finite"
            assert float(value.min()) >= 0, f"{name} fall below 0"
            assert float(value.max()) <= 1, f"{name} exceed 1"
        if self.method.view == "single":
            torch.testing.assert_close(prediction.scores.sum(1), torch.ones(count))

    def test_an_image_is_answered_alone(self) -> None:
        method, model, batch = _setting(self)
        model.eval()
        together = method.predict(model, batch.images)
        for i in range(len(batch.images)):
            alone = method.predict(model, batch.images[i : i + 1])
            torch.testing.assert_close(alone.scores[0], together.scores[i], rtol=0, atol=self.tolerance)
            torch.testing.assert_close(alone.maps[0], together.maps[i], rtol=0, atol=self.tolerance)

    def test_predict_leaves_no_trace(self) -> None:
        method, model, batch = _setting(self)
        model.eval()
        state, images = copy.deepcopy(model.state_dict()), batch.images.clone()
        generator = torch.get_rng_state()
        first = method.predict(model, batch.images)
        assert all(p.grad is None for p in model.parameters()), "predict left a gradient behind"
        assert torch.equal(batch.images, images), "predict altered its input"
        assert torch.equal(torch.get_rng_state(), generator), "predict drew random numbers"
        _assert_equal(state, model.state_dict())
        with torch.inference_mode():
            second = method.predict(model, batch.images)
        assert torch.equal(first.maps, second.maps), "two predictions differ, or the caller's mode matters"

    def test_predict_gives_the_modules_modes_back(self) -> None:
        method, model, batch = _setting(self)
        modules = list(model.modules())
        model.train()
        modules[-1].eval()
        modes = [module.training for module in modules]
        method.predict(model, batch.images)
        assert [module.training for module in modules] == modes

    def test_presets_construct_configurations(self) -> None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for preset in presets(self.method):
            space = load_space(self.method, preset).for_classes(synthetic_task(self.method).classes)
            for values in (space.defaults(), *(space.sample(study.ask()) for _ in range(5))):
                settings, thresholds = space.split(values)
                assert dataclasses.is_dataclass(self.method.Config(**settings))
                assert set(thresholds) == set(self.method.decision_thresholds)


def _make(suite: MethodContract, *, channels: int = 1, size: tuple[int, int] = (32, 32)) -> Method:
    task = synthetic_task(suite.method, channels=channels, size=size)
    return suite.method(suite.method.Config(**suite.config), task)


def _build(method: Method, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return method.build()


def _setting(suite: MethodContract) -> tuple[Method, nn.Module, Batch]:
    method = _make(suite)
    model = _build(method)
    torch.manual_seed(1)
    return method, model, synthetic_batch(suite.method, method.task)


def _stages(suite: MethodContract) -> list[Stage]:
    return list(_make(suite).stages(12))


def _freeze(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[int]:
    """As the engine does on entering a stage; the ids of the trained parameters."""
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    return trained


def _take_step(method: Method, model: nn.Module, batch: Batch, stage: Stage) -> tuple[dict[str, Tensor], int]:
    calls = 0

    def backward(loss: Tensor) -> None:
        nonlocal calls
        calls += 1
        loss.backward()  # type: ignore[no-untyped-call]

    model.train()
    step = Step(epoch=0, stage=stage.name, generator=torch.Generator().manual_seed(2), backward=backward)
    return method.training_step(model, batch, step), calls


def _train(
    method: Method, model: nn.Module, batch: Batch, stage: Stage, *, steps: int
) -> tuple[list[float], torch.optim.Optimizer]:
    optimizer = stage.optimizer(model)
    _freeze(model, optimizer)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(_take_step(method, model, batch, stage)[0]["loss"]))
        optimizer.step()
    return losses, optimizer


def _assert_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), f"{name} differs"
