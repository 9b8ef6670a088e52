"""The network of appendix A and its saliency bridge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from methods.layers.images import Normalize
from methods.multimix.network import Decoder, Encoder, Network, Sign, block, saliency


def network(*, classes: int = 2, regions: int = 1, bridge: Sign | None = "absolute", width: int = 4) -> Network:
    torch.manual_seed(0)
    normalize = Normalize("half", 1)
    return Network(normalize, 1, classes=classes, regions=regions, bridge=bridge, width=width, dropout=0.25, slope=0.2)


def shapes_of(model: nn.Module, kind: type[nn.Module], images: Tensor) -> list[tuple[int, ...]]:
    """Output shapes, without the batch, of layers of a kind in the order in which they are called."""
    found: list[tuple[int, ...]] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, output: found.append(tuple(output.shape[1:])))
        for module in model.modules()
        if isinstance(module, kind)
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return found


def test_tables_4_and_5() -> None:
    model = network(bridge=None, width=16).eval()
    images = torch.rand(1, 1, 256, 256)
    encoder = [(16 * 2**level, 256 // 2**level, 256 // 2**level) for level in range(5)]
    decoder = [(16 * 2**level, 256 // 2**level, 256 // 2**level) for level in (3, 2, 1, 0)]
    assert shapes_of(model, nn.GroupNorm, images) == [shape for shape in encoder + decoder for _ in range(2)]
    logits, regions = model(images)
    assert logits.shape == (1, 2)
    assert regions.shape == (1, 1, 256, 256)


def test_channels_into_the_decoder() -> None:
    def first(bridge: Sign | None) -> list[int]:
        decoder = network(bridge=bridge, width=16).decoder
        assert decoder is not None
        return [next(m.in_channels for m in stage if isinstance(m, nn.Conv2d)) for stage in decoder.blocks]

    assert first("absolute") == [386, 192, 96, 48]
    assert first(None) == [384, 192, 96, 48]


def test_a_branch_that_is_not_there_has_no_parameters() -> None:
    encoder = sum(p.numel() for p in network(bridge=None).encoder.parameters())
    classifier = network(regions=0, bridge=None)
    assert sum(p.numel() for p in classifier.parameters()) == encoder + 64 * 2 + 2
    assert classifier(torch.rand(2, 1, 32, 32))[1].shape == (2, 0, 32, 32)
    assert network(classes=0, bridge=None)(torch.rand(2, 1, 32, 32))[0].shape == (2, 0)


@pytest.mark.parametrize("size", [(32, 32), (37, 45), (48, 32), (64, 33)])
def test_any_size(size: tuple[int, int]) -> None:
    logits, regions = network().eval()(torch.rand(2, 1, *size))
    assert logits.shape == (2, 2)
    assert regions.shape == (2, 1, *size)


def test_an_image_does_not_see_the_others() -> None:
    model, images = network().eval(), torch.rand(3, 1, 32, 32)
    together = model(images)
    for i in range(3):
        for part, whole in zip(model(images[i : i + 1]), together, strict=True):
            torch.testing.assert_close(part[0], whole[i], rtol=0, atol=1e-4)


def test_saliency_is_the_gradient_of_the_largest_logit_of_each_image() -> None:
    weights = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).view(2, 3, 1, 1)

    def classify(inputs: Tensor) -> Tensor:
        return inputs.flatten(1) @ weights.T

    signed = saliency(classify, x, "signed")
    # 4 against -0.5 for the first, -2 against 4 for the second
    torch.testing.assert_close(signed.flatten(1), weights)
    torch.testing.assert_close(saliency(classify, x, "absolute"), signed.abs())


def test_saliency_by_finite_differences() -> None:
    model = network().double().eval()
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64)

    def top(inputs: Tensor) -> float:
        return float(model._classes(model.encoder(inputs)).detach().max())

    found = saliency(lambda inputs: model._classes(model.encoder(inputs)), x, "signed")
    for row, column in ((3, 5), (16, 16), (30, 1)):
        step = torch.zeros_like(x)
        step[0, 0, row, column] = 1e-6
        assert float(found[0, 0, row, column]) == pytest.approx((top(x + step) - top(x - step)) / 2e-6, abs=1e-6)


def test_saliency_leaves_modes_and_gradients_alone_and_has_no_dropout() -> None:
    model, images = network(), torch.rand(2, 1, 32, 32)
    model.train()
    model.encoder.blocks[1].eval()
    modes = [module.training for module in model.modules()]
    given: list[Tensor] = []
    assert model.decoder is not None
    hook = model.decoder.register_forward_pre_hook(lambda _m, inputs: given.append(inputs[1]))
    model.segment(images)
    assert [module.training for module in model.modules()] == modes, "the paper's code leaves the encoder in its mode"
    model.segment(images)
    hook.remove()
    assert torch.equal(given[0], given[1]), "dropout was active"
    assert not given[0].requires_grad
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_saliency_in_any_mode_of_the_caller(mode: type[torch.no_grad]) -> None:
    model, images = network().eval(), torch.rand(2, 1, 32, 32)
    expected = model(images)[1].detach()
    with mode():
        found = model(images.clone())[1]
    assert torch.equal(found, expected)


def test_saliency_where_the_encoder_is_frozen() -> None:
    model, images = network().eval(), torch.rand(2, 1, 32, 32)
    expected = model(images)[1].detach()
    model.requires_grad_(False)
    assert torch.equal(model(images)[1], expected)


def test_the_bridge_reaches_the_decoder() -> None:
    model, images = network().eval(), torch.rand(1, 1, 32, 32)
    before = model.segment(images).detach()
    assert model.classifier is not None
    with torch.no_grad():
        model.classifier.weight.mul_(3.0)
    assert not torch.equal(model.segment(images), before), "another classifier has other saliency"


def test_layers_by_gradcheck() -> None:
    torch.manual_seed(0)
    layer = block(1, 2, dropout=0.0, slope=0.2).double()
    assert gradcheck(layer, torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True))
    encoder = Encoder(1, width=1, dropout=0.0, slope=0.2).double()
    decoder = Decoder(encoder.widths, 1, bridge=2, dropout=0.0, slope=0.2).double()
    bridge = torch.randn(1, 2, 32, 32, dtype=torch.float64)
    assert gradcheck(
        lambda x: decoder(encoder(x), bridge),
        torch.randn(1, 1, 32, 32, dtype=torch.float64, requires_grad=True),
        fast_mode=True,
    )
