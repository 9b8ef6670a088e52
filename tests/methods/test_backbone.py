from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from methods.layers.backbone import build_backbone
from raysearch.errors import MethodError


def one_line(error: pytest.ExceptionInfo[MethodError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "stride", "features"),
    [
        ("resnet10_slim", 8, 64),
        ("resnet10_slim", 16, 64),
        ("resnet10_slim", 32, 64),
        ("resnetv2_10_slim", 8, 64),
        ("resnetv2_10_slim", 32, 64),
        ("resnetv2_18", 16, 512),
        ("resnet18", 8, 512),
        ("timm/resnet18d", 32, 512),
        ("torchvision/resnet18", 32, 512),
        ("torchvision/resnet50", 16, 2048),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_the_stride_and_the_channels(name: str, stride: int, features: int, channels: int) -> None:
    net = build_backbone(name, weights="random", in_channels=channels, output_stride=stride)
    assert net.features == features
    with torch.no_grad():
        assert net.eval()(torch.rand(1, channels, 64, 64)).shape == (1, features, 64 // stride, 64 // stride)


def test_initialisation_follows_the_global_seed() -> None:
    def first_weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        net = build_backbone("torchvision/resnet18", weights="random", in_channels=1, output_stride=32)
        return torch.cat([p.flatten() for p in net.parameters()])

    assert torch.equal(first_weights(3), first_weights(3))
    assert not torch.equal(first_weights(3), first_weights(4))


def test_batch_of_two_trains() -> None:
    net = build_backbone("resnet10_slim", weights="random", in_channels=1, output_stride=32).train()
    assert torch.isfinite(net(torch.rand(2, 1, 32, 32))).all()


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet19", 32, "did you mean 'resnet1"),
        ("mobilenet", 32, "expected a ResNet"),
        ("torchvision/resnet99", 32, "unknown backbone 'torchvision/resnet99'"),
        ("keras/resnet18", 32, "timm/NAME or torchvision/NAME"),
        ("torchvision/resnet18", 8, "use 'timm/resnet18'"),
    ],
)
def test_unknown_backbones_are_refused(name: str, stride: int, message: str) -> None:
    with pytest.raises(MethodError) as error:
        build_backbone(name, weights="random", in_channels=3, output_stride=stride)
    assert message in one_line(error)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "torchvision/resnet18"])
def test_local_weights_are_loaded_without_their_classifier(tmp_path: Path, suffix: str, name: str) -> None:
    torch.manual_seed(0)
    state = torchvision.models.resnet18(weights=None).state_dict()  # torchvision and timm name their parts alike
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    else:
        save_file(state, path)
    colour = build_backbone(name, weights=str(path), in_channels=3, output_stride=32)
    found = colour.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items() if not key.startswith("fc."))
    gray = build_backbone(name, weights=str(path), in_channels=1, output_stride=32)
    x = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(gray.eval()(x), colour.eval()(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-3)


@pytest.mark.filterwarnings("error")
def test_files_that_are_no_checkpoint_are_refused_without_the_readers_own_words(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content in ([1, 2], torch.nn.Linear(2, 2), torch.zeros(3), {"state_dict": [1]}, {1: torch.zeros(3)}):
        torch.save(content, path)
        refused(path)
    path.write_bytes(pickle.dumps([1, 2]))
    refused(path)
    path.write_bytes(b"")
    refused(path)
    other = path.with_suffix(".safetensors")
    other.write_bytes(b"none")
    refused(other)


def refused(path: Path) -> None:
    with pytest.raises(MethodError) as error:
        build_backbone("resnet10_slim", weights=str(path), in_channels=3, output_stride=32)
    assert one_line(error) == (
        f"weights '{path}' cannot be read as a checkpoint: expected a .pth or .safetensors file of a state_dict of"
        " resnet10_slim: names to tensors, and no other objects"
    )


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def message(weights: str) -> str:
        with pytest.raises(MethodError) as error:
            build_backbone("resnet18", weights=weights, in_channels=3, output_stride=32)
        return one_line(error)

    assert "not found" in message(str(tmp_path / "none.pth"))
    text = tmp_path / "text.pth"
    text.write_text("no checkpoint")
    assert "cannot be read as a checkpoint" in message(str(text))
    objects = tmp_path / "objects.pth"
    torch.save({"model": tmp_path}, objects)
    assert "cannot be read as a checkpoint" in message(str(objects))
    numbers = tmp_path / "numbers.pth"
    torch.save({"epoch": 3}, numbers)
    assert "no dictionary of tensors" in message(str(numbers))
    state = torchvision.models.resnet34(weights=None).state_dict()
    larger = tmp_path / "larger.pth"
    torch.save(state, larger)
    assert "they have the unknown 'layer1.2" in message(str(larger))
    shallow = torchvision.models.resnet18(weights=None).state_dict()
    del shallow["layer4.1.conv2.weight"]
    smaller = tmp_path / "smaller.pth"
    torch.save(shallow, smaller)
    assert "they lack 'layer4.1.conv2.weight'" in message(str(smaller))
    shallow["layer4.1.conv2.weight"] = torch.zeros(1)
    torch.save(shallow, smaller)
    assert "another shape of 'layer4.1.conv2.weight'" in message(str(smaller))


@pytest.mark.parametrize("name", ["resnet10_slim", "resnetv2_10_slim"])
def test_slim_has_no_imagenet_weights(name: str) -> None:
    with pytest.raises(MethodError, match="weights=random"):
        build_backbone(name, weights="imagenet", in_channels=3, output_stride=8)


@pytest.mark.parametrize("name", ["resnet18", "torchvision/resnet18"])
def test_without_network_the_remedy_is_a_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service\nnot known")

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(MethodError) as error:
        build_backbone(name, weights="imagenet", in_channels=3, output_stride=32)
    assert "weights=FILE" in one_line(error)
