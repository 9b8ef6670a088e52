from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods.layers.grid import to_pixels
from methods.li_base import LiBase, LiBaseConfig
from methods.limited_annotation import LimitedAnnotation, LimitedAnnotationConfig
from methods.limited_annotation.crf import potts
from raysearch.errors import MethodError
from raysearch.method import Batch, Stage, Step, Task

SMALL: dict[str, Any] = {
    "backbone": "resnetv2_10_slim",
    "weights": "random",
    "output_stride": 8,
    "hidden": 8,
    "patches": 8,
    "batch": 4,
    "crf_steps": 2,
}
TASK = Task(classes=("a", "b", "c"), view="multi", channels=1, size=(32, 32))


def made(task: Task = TASK, **settings: Any) -> LimitedAnnotation:
    return LimitedAnnotation(LimitedAnnotationConfig(**SMALL | settings), task)


def batch() -> Batch:
    """Class a is annotated in image 0, and known to be absent in image 1; all else is unknown to the loss's regions."""
    torch.manual_seed(0)
    truth = torch.full((4, 3), -1, dtype=torch.int8)
    truth[0, 0], truth[1, 0] = 1, 0
    masks = torch.zeros(1, 32, 32)
    masks[0, 4:13, 8:16] = 1
    labels = torch.tensor([[1.0, 0, -1], [0, 1, 0], [1, 1, 1], [0, 0, -1]])
    return Batch(images=torch.rand(4, 1, 32, 32), labels=labels, index=torch.arange(4), masks=masks, truth=truth)


def take_step(method: LimitedAnnotation, model: nn.Module, stage: Stage, optimizer: torch.optim.Optimizer) -> float:
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    backward = torch.autograd.backward
    step = Step(epoch=0, stage=stage.name, generator=torch.Generator(), backward=backward)
    losses = method.training_step(model, batch(), step)
    optimizer.step()
    return float(losses["loss"])


def by_hand(z: Tensor, config: LimitedAnnotationConfig, gamma: float) -> float:
    """Eq. 12 of `batch`, by loops over pairs."""
    data = batch()
    assert isinstance(config.tau, float)
    assert isinstance(config.rho, float)
    assert isinstance(config.tau_hat, float)
    assert isinstance(config.rho_hat, float)
    total = 0.0
    for n in range(4):
        for k in range(3):
            values = z[n, k]
            if (n, k) == (0, 0):
                # rows 4 to 12 and columns 8 to 15 touch patches 1 to 3 and 2 to 3, of 4 x 4 pixels
                inside = torch.zeros(8, 8, dtype=torch.bool)
                inside[1:4, 2:4] = True
                few = max(0.0, config.tau * 6 - float(values[inside].sum())) / 6
                many = max(0.0, float(values[~inside].sum()) - config.rho * 58) / 58
                total += config.lambda_ann * (few + many)
            elif data.labels[n, k] == 1:
                total += max(0.0, config.tau_hat * 64 - float(values.sum()))
            elif data.labels[n, k] == 0:
                total += gamma * max(0.0, float(values.sum()) - config.rho_hat * 64)
    return total / 4


@pytest.mark.parametrize("gamma", [1.0, 0.2])
def test_the_loss_of_a_batch_is_eq_12(gamma: float) -> None:
    method = made(gamma=gamma, tau_hat=0.6, rho_hat=0.3)
    z = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    loss, annotated, unannotated = method.loss(z, method.regions(batch()), batch().labels)
    assert float(loss) == pytest.approx(by_hand(z, method.config, gamma), rel=1e-5)
    assert float(loss) == pytest.approx(float(annotated + unannotated))


def test_gamma_of_the_data_is_the_ratio_of_each_class() -> None:
    z = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(4, 3)

    def loss(task: Task, **settings: Any) -> Tensor:
        method = made(task, **settings)
        return method.loss(z, method.regions(batch()), labels)[2]

    ratios = Task(classes=TASK.classes, view="multi", channels=1, size=(32, 32), positives=(0.5, 0.25, 0.0))
    parts = [float(torch.relu(z[:, k].sum((1, 2)) - 0.64)[1 if k == 0 else 0 :].sum()) / 4 for k in range(3)]
    assert float(loss(ratios)) == pytest.approx(0.5 * parts[0] + 0.25 * parts[1], rel=1e-5)
    assert float(loss(TASK)) == pytest.approx(sum(parts), rel=1e-5), "ratios that nobody knows are 1"
    assert float(loss(ratios, gamma=0.1)) == pytest.approx(0.1 * sum(parts), rel=1e-5)


def test_gamma_of_a_class_without_absent_labels_stays_finite() -> None:
    task = Task(classes=TASK.classes, view="multi", channels=1, size=(32, 32), positives=(float("inf"), 1.0, 1.0))
    method, labels = made(task), torch.tensor([[1.0, 0.0, 0.0]]).expand(4, 3)
    z = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    loss = method.loss(z, method.regions(batch()), labels)[0]
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


def test_thresholds_by_class_bound_their_class_alone() -> None:
    z = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    same, other = made(tau=0.9), made(tau={"a": 0.9, "b": 0.1, "c": 0.2})
    regions = same.regions(batch())
    assert float(other.loss(z, regions, batch().labels)[0]) == float(same.loss(z, regions, batch().labels)[0])
    with pytest.raises(ValueError, match="expected one for each of a, b, c"):
        made(tau={"a": 0.9}).loss(z, regions, batch().labels)


def test_workers_together_have_the_loss_of_one() -> None:
    method = made()
    z, data = torch.rand(4, 3, 8, 8), batch()

    def part(rows: slice) -> float:
        truth = data.truth
        assert truth is not None
        assert data.masks is not None
        masks = data.masks if rows.start == 0 else data.masks[:0]
        own = Batch(images=data.images[rows], labels=data.labels[rows], index=data.index[rows], masks=masks,
                    truth=truth[rows], share=len(data.index[rows]) / 4)  # fmt: skip
        return own.share * float(method.loss(z[rows], method.regions(own), own.labels)[0])

    whole = float(method.loss(z, method.regions(data), data.labels)[0])
    assert part(slice(0, 3)) + part(slice(3, 4)) == pytest.approx(whole, rel=1e-5)


def test_thresholds_may_change_between_epochs_with_the_same_network() -> None:
    """The engine makes the method anew with other thresholds and goes on with network and optimiser."""
    torch.manual_seed(0)
    before, after = made(tau=0.9, tau_hat=0.5, rho_hat=0.1), made(tau=0.1, tau_hat=0.05, rho_hat=0.01)
    model = before.build()
    torch.manual_seed(0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), after.build().parameters(), strict=True))
    stage, again = before.stages(4)[0], after.stages(4)[0]
    assert (stage.name, stage.epochs) == (again.name, again.epochs)
    optimizer = stage.optimizer(model)
    first = take_step(before, model, stage, optimizer)
    state = copy.deepcopy(model.state_dict())
    images = batch().images
    assert torch.equal(before.predict(model, images).maps, after.predict(model, images).maps)
    harder = take_step(before, model, stage, optimizer)
    model.load_state_dict(state)
    easier = take_step(after, model, stage, optimizer)
    assert easier != harder
    assert first > 0


def test_the_crf_is_trained_last_and_alone() -> None:
    torch.manual_seed(0)
    method = made(crf_share=0.25)
    model = method.build()
    unary, crf = method.stages(8)
    assert (unary.name, unary.epochs, crf.name, crf.epochs) == ("unary", 6, "crf", 2)
    images = batch().images
    optimizer = unary.optimizer(model)
    start = copy.deepcopy(model.get_submodule("crf").state_dict())
    take_step(method, model, unary, optimizer)
    assert all(torch.equal(v, start[k]) for k, v in model.get_submodule("crf").state_dict().items())
    with torch.no_grad():
        p = model.eval().get_submodule("unary")(images).sigmoid()
    grid = method.predict(model, images).grid
    assert grid is not None
    torch.testing.assert_close(grid, p, msg="the CRF has a say before it is trained")

    frozen = copy.deepcopy(model.get_submodule("unary").state_dict())
    start = copy.deepcopy(model.get_submodule("crf").state_dict())
    optimizer = crf.optimizer(model)
    assert optimizer.param_groups[0]["lr"] == method.config.crf_lr
    take_step(method, model, crf, optimizer)
    changed = model.get_submodule("unary").state_dict()
    assert all(torch.equal(value, changed[name]) for name, value in frozen.items()), "batch statistics included"
    assert not torch.equal(model.get_submodule("crf").state_dict()["compatibility"], start["compatibility"])
    refined = method.predict(model, images).grid
    assert refined is not None
    assert not torch.allclose(refined, p)


def test_a_checkpoint_says_whether_the_crf_refines() -> None:
    torch.manual_seed(0)
    method = made()
    model, other = method.build(), method.build().eval()
    images, before = batch().images, copy.deepcopy(model.state_dict())
    crf = method.stages(8)[1]
    plain = method.predict(model.eval(), images).maps
    take_step(method, model, crf, crf.optimizer(model))
    refined = method.predict(model.eval(), images).maps
    assert not torch.allclose(refined, plain)
    for state, maps in ((model.state_dict(), refined), (before, plain)):
        other.load_state_dict(state)
        assert torch.equal(method.predict(other, images).maps, maps)
        assert torch.equal(method.predict(copy.deepcopy(other), images).maps, maps)


@pytest.mark.parametrize(("epochs", "expected"), [(2, [1, 1]), (3, [2, 1]), (10, [8, 2])])
def test_stages_share_the_epochs(epochs: int, expected: list[int]) -> None:
    assert [stage.epochs for stage in made(crf_share=0.25).stages(epochs)] == expected
    assert [stage.epochs for stage in made(crf_share=0.99).stages(epochs)] == [1, epochs - 1]
    assert [stage.epochs for stage in made(crf="none").stages(epochs)] == [epochs]


def test_one_epoch_is_none_for_the_crf() -> None:
    message = "epochs is 1: expected 2 or more, .* unary and crf; pass --epochs 2, or 1 with --fix crf=none"
    with pytest.raises(MethodError, match=message):
        made(crf_share=0.25).stages(1)
    assert [stage.epochs for stage in made(crf="none").stages(1)] == [1]


def test_maps_and_scores_are_those_of_the_grid() -> None:
    torch.manual_seed(0)
    method = made(patches=5)
    prediction = method.predict(method.build(), batch().images)
    assert prediction.grid is not None
    assert prediction.grid.shape == (4, 3, 5, 5)
    torch.testing.assert_close(prediction.scores, prediction.grid.amax((2, 3)))
    # pixel centres 5.5 and 6.5 of 32 fall into patches 0 and 1 of 5
    assert torch.equal(prediction.maps[:, :, 5, 6], prediction.grid[:, :, 0, 1])


@pytest.mark.parametrize(("rule", "expected"), [("any", 6), ("centre", 4), ("half", 4)])
def test_the_rule_decides_which_patches_a_region_covers(rule: str, expected: int) -> None:
    regions = made(cell_rule=rule).regions(batch())
    assert (regions.image.tolist(), regions.label.tolist()) == ([0], [0])
    assert int(regions.cells.sum()) == expected


@pytest.mark.parametrize("geometry", ["exact", "grid"])
def test_masks_of_patches_are_scored_against_the_region_or_its_patches(geometry: str) -> None:
    data, method = batch(), made(geometry=geometry)
    assert data.masks is not None
    scored = method.scored_regions(data.masks)
    cells = method.regions(data).cells
    answer = to_pixels(cells[None].float(), (data.masks.shape[1], data.masks.shape[2]))[0]
    assert torch.equal(scored, answer if geometry == "grid" else data.masks)
    assert not torch.equal(answer, data.masks), "the two geometries differ here"


def test_a_region_without_a_patch_is_reported() -> None:
    data = batch()
    assert data.masks is not None
    data.masks[0] = 0
    data.masks[0, 5, 5] = 1
    method = made(cell_rule="half")
    model = method.build()
    step = Step(epoch=0, stage="unary", generator=torch.Generator(), backward=torch.autograd.backward)
    assert float(method.training_step(model, data, step)["empty_regions"]) == 1 / len(data.images)


def test_the_first_compatibilities_are_those_of_pac() -> None:
    torch.manual_seed(0)
    w = potts((3, 2, 2), 19)
    assert w.shape == (3, 2, 2, 19, 19)
    assert float(w[:, 0, 0].abs().max()) <= 0.0005
    at_centre = w[:, 0, 1, 9, 9]
    assert float(at_centre.abs().max()) <= 0.0005
    # beside the centre exp(-0.5 / 4.75^2), of a Gaussian that adds up to 361 over the window
    assert float(w[0, 1, 0, 9, 10]) == pytest.approx(2.732, abs=0.001)
    assert float(w[0, 1, 0].sum()) == pytest.approx(361 - 2.793, abs=0.1)


def test_scores_of_the_base_model_are_eq_2() -> None:
    torch.manual_seed(0)
    names = ("backbone", "weights", "output_stride", "hidden", "patches", "batch")
    settings = {name: SMALL[name] for name in names}
    method = LiBase(LiBaseConfig(**settings), TASK)
    prediction = method.predict(method.build(), batch().images)
    p = prediction.maps[:, :, 2::4, 2::4].double()
    torch.testing.assert_close(prediction.scores.double(), 1 - (1 - p).prod(3).prod(2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tau": 1.5}, r"tau is 1.5: expected a number in \[0, 1\]"),
        ({"rho": {"a": 0.1, "b": -1.0}}, "rho is -1.0"),
        ({"rho_hat": 0.05}, "rho_hat is 0.05: expected a number below tau_hat, which is 0.05"),
        ({"tau_hat": {"a": 0.5, "b": 0.005}}, "rho_hat is 0.01: expected a number below tau_hat, which is 0.005"),
        ({"gamma": 0.0}, "gamma is 0.0"),
        ({"blur": 6}, "blur is 6: expected one of 1, 2, 3, 4, 5"),
        ({"crf_window": 4}, "crf_window is 4: expected an odd number"),
        ({"crf_share": 1.0}, "crf_share is 1.0"),
        ({"patches": 1}, "patches is 1"),
        ({"lambda_ann": 0.0}, "lambda_ann is 0.0"),
        ({"cell_rule": "most"}, "cell_rule is 'most'"),
        ({"lr_decay": 0.0}, "lr_decay is 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LimitedAnnotationConfig(**wrong)
    with pytest.raises(ValueError, match="rescale_min is 1"):
        LiBaseConfig(rescale_min=1.0)


def test_defaults_are_the_papers() -> None:
    config = LimitedAnnotationConfig()
    paper = {"lr": 1e-3, "weight_decay": 0.01, "batch": 48, "lambda_ann": 70.0, "patches": 20, "crf_window": 19}
    assert {name: getattr(config, name) for name in paper} == paper


@pytest.mark.parametrize(("decoupled", "kind"), [(False, torch.optim.Adam), (True, torch.optim.AdamW)])
def test_the_rate_decays_each_epoch(decoupled: bool, kind: type) -> None:
    (stage,) = made(crf="none", lr=0.01, lr_decay=0.5, decoupled=decoupled).stages(3)
    optimizer = stage.optimizer(nn.ModuleDict({"unary": nn.Linear(2, 2)}))
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]
    assert stage.schedule is not None
    schedule = stage.schedule(optimizer)
    rates = []
    for _ in range(3):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.01, 0.005, 0.0025])
