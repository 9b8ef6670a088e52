"""Low-pass filters in front of every downsampling (Zhang, ICML 2019), put into a network that has none."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raysearch.errors import MethodError

FILTERS = {1: (1,), 2: (1, 1), 3: (1, 2, 1), 4: (1, 3, 3, 1), 5: (1, 4, 6, 4, 1)}
"""Binomial rows by size; 1 blurs nothing."""


class BlurPool(nn.Module):
    """Blurs (N, C, H, W) by the outer product of a binomial row, then keeps every `stride`-th row and column.

    Each side is divided by `stride` and rounded up, as by a padded 3x3 convolution. The border is reflected, or, where
    the image is smaller than the filter, repeated. Has no parameters, and nothing in the `state_dict`.
    """

    row: Tensor

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        row = torch.tensor(FILTERS[size], dtype=torch.float32)
        self.register_buffer("row", row / row.sum(), persistent=False)
        self.size = size
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        before, after = (self.size - 1) // 2, self.size // 2
        mode = "reflect" if min(images.shape[-2:]) > after else "replicate"
        padded = F.pad(images, (before, after, before, after), mode=mode)
        kernel = torch.outer(self.row, self.row).to(images.dtype).expand(channels, 1, -1, -1)
        return F.conv2d(padded, kernel, stride=self.stride, groups=channels)


def anti_alias(network: nn.Module, size: int, name: str) -> None:
    """Puts a filter of `size` (of `FILTERS`) in front of every downsampling of a ResNet, in place; 1 changes nothing.

    A strided convolution of a residual branch gets stride 1, and what follows its normalisation and ReLU, the next
    convolution of the block, blurs its input; a strided 1x1 convolution and a strided average pooling of a shortcut
    blur theirs; a max pooling gets stride 1 and is followed by a filter. The first convolution stays strided, as in the
    released code of Zhang (`pool_only`). Parameters and names stay as they are, so pretrained weights fit before and
    after.

    Raises:
        MethodError: a downsampling of the network `name` has none of these forms.
    """
    if size == 1:
        return
    for block in network.modules():
        _blur_branch(block, size)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    for path, module in list(network.named_modules()):
        if module is not first and _stride(module) > 1:
            _blur_other(module, size, f"{name!r}: {path}")


def _blur_branch(block: nn.Module, size: int) -> None:
    """Moves the stride of a block's ``conv1`` or ``conv2`` into a filter in front of the convolution after it."""
    if isinstance(block, nn.Sequential):  # a stem may have a conv1 and a conv2 as well
        return
    for this, after in (("conv1", "conv2"), ("conv2", "conv3")):
        strided, following = getattr(block, this, None), getattr(block, after, None)
        if isinstance(strided, nn.Conv2d) and isinstance(following, nn.Conv2d) and _stride(strided) > 1:
            _attach(following, BlurPool(size, _stride(strided)))
            strided.stride = (1, 1)


def _blur_other(module: nn.Module, size: int, where: str) -> None:
    """A strided layer of a stem or a shortcut."""
    blur = BlurPool(size, _stride(module))
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
        module.stride = (1, 1)
        _attach(module, blur)
    elif isinstance(module, nn.AvgPool2d):
        # an average of one pixel, so that the filter alone decides
        module.kernel_size = module.stride = 1
        _attach(module, blur)
    elif isinstance(module, nn.MaxPool2d):
        module.stride = 1
        module.add_module("blur", blur)
        module.register_forward_hook(_blur_output)
    else:
        raise MethodError(
            f"backbone {where} downsamples in a way that cannot be blurred: use resnetv2_50, resnet50 or another plain "
            "ResNet, or blur=1"
        )


def _attach(module: nn.Module, blur: BlurPool) -> None:
    module.add_module("blur", blur)
    module.register_forward_pre_hook(_blur_input)


def _blur_input(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (module.blur(inputs[0]),)  # type: ignore[operator]


def _blur_output(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    del inputs
    return module.blur(output)  # type: ignore[operator,no-any-return]


def _stride(module: nn.Module) -> int:
    """Of a layer that may downsample; 1 for any other, and for a filter."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return 1
    stride = module.stride
    return int(stride if isinstance(stride, int) else stride[0])
