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
from typing import ClassVar, get_args

import optuna
import pytest
import torch

from raysearch.method import Prediction
from raysearch.space import load_space, presets
from raysearch.testing._steps import assert_equal, build, check_augmentation, make, setting
from raysearch.testing._synthetic import filling, padded, synthetic_batch, synthetic_task
from raysearch.testing._training_contract import TrainingContract
from raysearch.testing._upstream_contract import UpstreamContract
from raysearch.thresholds import BoxRule, find_metric


class MethodContract(TrainingContract, UpstreamContract):
    """Base of a test class; pytest collects the subclass, whose name starts with ``Test``."""

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
        for name in (method.metric, *method.reports):
            find_metric(name)  # refuses a name that it does not know
        assert len(set(method.sources)) == len(method.sources) != 1, "sources: none, or several with names of their own"
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in method.sources), "sources: [a-z][a-z0-9_]*"
        fields = {field.name for field in dataclasses.fields(method.Config)}
        assert {t.name for t in method.loss_thresholds} <= fields, "loss thresholds are fields of Config"
        assert {*method.initial_weights} <= {*fields, "weights"}, "initial weights are fields of Config"

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
        method = make(self)
        assert method.batch_size >= 1
        check_augmentation(method, method.augmentation())

    def test_box_rule(self) -> None:
        rules = get_args(BoxRule)
        assert make(self).box_rule in (None, *rules), f"box_rule: None, or one of {', '.join(rules)}"

    def test_build_depends_on_the_seed_alone(self) -> None:
        method = make(self)
        first, second = build(method, seed=1), build(method, seed=1)
        assert all(p.device.type == "cpu" for p in first.parameters())
        assert_equal(first.state_dict(), second.state_dict())

    def test_state_dict_is_the_checkpoint(self) -> None:
        # two objects, as in two processes: nothing that matters may live outside the state_dict
        method, other = make(self), make(self)
        images = synthetic_batch(self.method, method.task).images
        source, target = build(method, seed=1), build(other, seed=2)
        target.load_state_dict(copy.deepcopy(source.state_dict()))
        before, after = method.predict(source.eval(), images), other.predict(target.eval(), images)
        torch.testing.assert_close(after.scores, before.scores, rtol=0, atol=0)
        torch.testing.assert_close(after.maps, before.maps, rtol=0, atol=0)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("size", [(32, 32), (48, 32), (37, 45)])
    def test_predict_shapes_and_ranges(self, channels: int, size: tuple[int, int]) -> None:
        method = make(self, channels=channels, size=size)
        batch = synthetic_batch(self.method, method.task)
        prediction = method.predict(build(method).eval(), batch.images)
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

    def test_predict_of_pictures_in_padding(self) -> None:
        method, model, batch = setting(self)
        model.eval()
        given = padded(batch)
        prediction, plain = method.predict(model, batch.images, given.inside), method.predict(model, batch.images)
        assert prediction.maps.shape == plain.maps.shape
        for name, value in (("scores", prediction.scores), ("maps", prediction.maps)):
            assert bool(torch.isfinite(value).all()), f"{name} have to be finite, in the padding too"
            assert float(value.min()) >= 0, f"{name} fall below 0 where a picture is padded"
            assert float(value.max()) <= 1, f"{name} exceed 1 where a picture is padded"

    def test_pictures_without_padding_are_answered_alike_whether_told_or_not(self) -> None:
        method, model, batch = setting(self)
        model.eval()
        told, plain = method.predict(model, batch.images, filling(batch).inside), method.predict(model, batch.images)
        torch.testing.assert_close(told.scores, plain.scores, rtol=0, atol=1e-6)
        torch.testing.assert_close(told.maps, plain.maps, rtol=0, atol=1e-6)

    def test_an_image_is_answered_alone(self) -> None:
        method, model, batch = setting(self)
        model.eval()
        together = method.predict(model, batch.images)
        for i in range(len(batch.images)):
            alone = method.predict(model, batch.images[i : i + 1])
            torch.testing.assert_close(alone.scores[0], together.scores[i], rtol=0, atol=self.tolerance)
            torch.testing.assert_close(alone.maps[0], together.maps[i], rtol=0, atol=self.tolerance)

    def test_predict_leaves_no_trace(self) -> None:
        method, model, batch = setting(self)
        model.eval()
        state, images = copy.deepcopy(model.state_dict()), batch.images.clone()
        generator = torch.get_rng_state()
        first = method.predict(model, batch.images)
        assert all(p.grad is None for p in model.parameters()), "predict left a gradient behind"
        assert torch.equal(batch.images, images), "predict altered its input"
        assert torch.equal(torch.get_rng_state(), generator), "predict drew random numbers"
        assert_equal(state, model.state_dict())
        with torch.inference_mode():
            second = method.predict(model, batch.images)
        assert torch.equal(first.maps, second.maps), "two predictions differ, or the caller's mode matters"

    def test_predict_gives_the_modules_modes_back(self) -> None:
        method, model, batch = setting(self)
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
