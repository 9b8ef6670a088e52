"""What the engine relies on in the training of a method, as tests; `MethodContract` has them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from raysearch.method import Augmentation
from raysearch.space import load_space, presets
from raysearch.testing._steps import (
    Suite,
    assert_equal,
    build,
    check_augmentation,
    freeze,
    make,
    setting,
    stages_of,
    take_step,
    train,
    watch,
    without_regions,
)
from raysearch.testing._synthetic import empty_batch, filling, padded, synthetic_batch


class TrainingContract(Suite):
    """Base of `MethodContract`."""

    steps: ClassVar[int] = 30
    """Steps on one batch after which the loss has to be lower."""

    def test_stages(self) -> None:
        method = make(self)
        model = build(method)
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

    def test_streams(self) -> None:
        method = make(self)
        for stage in method.stages(12):
            names = [stream.name for stream in stage.streams]
            assert len(set(names)) == len(names), f"stage {stage.name} has two streams of one name"
            for stream in stage.streams:
                assert stream.batch >= 1, f"stream {stream.name}"
                check_augmentation(method, stream.augmentation)
                assert stream.strong is None or isinstance(stream.strong, Augmentation)

    def test_training_step(self) -> None:
        for stage in stages_of(self):
            method, model, batch = setting(self, stage)
            trained = freeze(model, stage.optimizer(model))
            losses, calls = take_step(method, model, batch, stage)
            assert calls >= 1, "training_step has to call step.backward"
            assert "loss" in losses
            for name, value in losses.items():
                assert value.ndim == 0, f"{name} has to be a scalar"
                assert bool(torch.isfinite(value)), f"{name} is {float(value)}"
            touched = {id(p) for p in model.parameters() if p.grad is not None and bool(p.grad.any())}
            assert touched, "no parameter has a gradient"
            assert touched <= trained, "a frozen parameter has a gradient"
            assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in model.parameters())

    def test_training_reads_no_setting_of_post_processing(self) -> None:
        spaces = [load_space(self.method, preset) for preset in presets(self.method)]
        own = {name for space in spaces for name, p in space.parameters.items() if p.kind == "postprocess"}
        method = make(self)
        method.config = watch(
            method.config, own, "training reads Config.{}, which the search space says is for post-processing alone"
        )
        model = build(method)
        for stage in method.stages(12):
            freeze(model, stage.optimizer(model))
            take_step(method, model, synthetic_batch(self.method, method.task, stage=stage), stage)

    def test_training_step_on_images_of_which_no_region_is_known(self) -> None:
        if self.method.supervision not in ("region", "pixel"):
            return
        for stage in stages_of(self):
            method, model, batch = setting(self, stage)
            beside = {name: without_regions(other) for name, other in batch.beside.items()}
            unknown = dataclasses.replace(without_regions(batch), beside=beside)
            losses, _ = take_step(method, model, unknown, stage)
            for name, value in losses.items():
                assert bool(torch.isfinite(value)), f"{name} is {float(value)} where no region is known"

    def test_training_step_on_pictures_in_padding(self) -> None:
        for stage in stages_of(self):
            method, model, batch = setting(self, stage)
            losses, _ = take_step(method, model, padded(batch), stage)
            for name, value in losses.items():
                assert bool(torch.isfinite(value)), f"{name} is {float(value)} where pictures are padded"

    def test_training_step_is_alike_whether_told_that_there_is_no_padding_or_not(self) -> None:
        for stage in stages_of(self):
            found = []
            for told in (False, True):
                method, model, batch = setting(self, stage)
                found.append(take_step(method, model, filling(batch) if told else batch, stage)[0])
            torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)

    def test_training_step_where_other_streams_hold_no_image(self) -> None:
        for stage in stages_of(self):
            names = [stream.name for stream in stage.streams[1:]]
            for gone in (names, *([name] for name in names)) if names else ():
                method, model, batch = setting(self, stage)
                beside = {name: empty_batch(b) if name in gone else b for name, b in batch.beside.items()}
                losses, _ = take_step(method, model, dataclasses.replace(batch, beside=beside), stage)
                where = f"where {' and '.join(gone)} hold no image"
                for name, value in losses.items():
                    assert bool(torch.isfinite(value)), f"{name} is {float(value)} {where}"
                gradients = [p.grad for p in model.parameters() if p.grad is not None]
                assert all(bool(torch.isfinite(g).all()) for g in gradients), f"a gradient is not finite {where}"

    def test_equal_seeds_give_equal_steps(self) -> None:
        for stage in stages_of(self):
            runs = []
            for _ in range(2):
                method, model, batch = setting(self, stage)
                losses, _ = train(method, model, batch, stage, steps=2)
                runs.append((losses, model.state_dict()))
            assert runs[0][0] == runs[1][0]
            assert_equal(runs[0][1], runs[1][1])

    def test_loss_falls_on_one_batch(self) -> None:
        for stage in stages_of(self):
            method, model, batch = setting(self, stage)
            losses, _ = train(method, model, batch, stage, steps=self.steps)
            quarter = max(1, self.steps // 4)
            first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
            assert last < first, f"stage {stage.name}: the mean loss went from {first:.4g} to {last:.4g}"
