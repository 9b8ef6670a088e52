"""Classification module and detection module (figure 1)."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.backbone import Backbone
from methods.layers.features import Features
from methods.layers.images import Normalize
from methods.layers.pooling import log_sum_exp_pool
from methods.layers.pyramid import FeaturePyramid
from methods.layers.statistics import stored
from methods.saliency_proposals.proposals import ProposalHead
from methods.saliency_proposals.schedule import Annealing


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the classification module says of N images: logits (N, K), saliency logits (N, K, h, w), and the features
    (N, K, F, h, w) of each class."""

    logits: Tensor
    saliency: Tensor
    features: Tensor


class ClassNorm(nn.BatchNorm2d):
    """Batch norm of (N, Q, h, w) with a scale and a shift for each class, as (N, K Q, h, w): all classes see the same
    input and share its statistics."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, affine=False)
        self.scale = nn.Parameter(torch.ones(classes * channels))
        self.shift = nn.Parameter(torch.zeros(classes * channels))

    def forward(self, maps: Tensor) -> Tensor:
        scale, shift = (each.view(-1, self.num_features, 1, 1) for each in (self.scale, self.shift))
        return torch.addcmul(shift, super().forward(maps)[:, None], scale).flatten(1, 2)


class ClassHeads(nn.Module):
    """Pyramid features (N, Q, h, w) to features (N, K, `hidden`, h, w) and saliency logits (N, K, h, w), by a head of
    its own for each class: batch norm, LeakyReLU and a 1x1 convolution, twice. All are done at once, as groups."""

    def __init__(self, channels: int, classes: int, *, hidden: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.classes = classes
        self.own = ClassNorm(channels, classes)
        self.first = nn.Conv2d(classes * channels, classes * hidden, kernel_size=1, groups=classes, bias=False)
        self.norm = nn.BatchNorm2d(classes * hidden)
        self.second = nn.Conv2d(classes * hidden, classes, kernel_size=1, groups=classes, bias=False)
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight, a=slope)

    def forward(self, pyramid: Tensor) -> tuple[Tensor, Tensor]:
        features = self.first(F.leaky_relu(self.own(pyramid), self.slope, inplace=True))
        saliency = self.second(F.leaky_relu(self.norm(features), self.slope, inplace=True))
        count, _, height, width = features.shape
        return features.view(count, self.classes, -1, height, width), saliency


class Classification(nn.Module):
    """Images in [0, 1] to class logits, pooled from a saliency map a class.

    The sharpness of class k's pooling is r_k = `r0` + exp(beta_k); beta_k is 0 at first and learned if `learned`.
    """

    def __init__(
        self,
        normalize: Normalize,
        backbone: Features,
        classes: int,
        *,
        width: int,
        hidden: int,
        slope: float,
        r0: float,
        learned: bool,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.pyramid = FeaturePyramid(backbone.channels, width)
        self.heads = ClassHeads(width, classes, hidden=hidden, slope=slope)
        self.r0 = r0
        self.beta: Tensor
        if learned:
            self.beta = nn.Parameter(torch.zeros(classes))
        else:
            self.register_buffer("beta", torch.zeros(classes))

    def forward(self, images: Tensor) -> Seen:
        features, saliency = self.heads(self.pyramid(self.backbone(self.normalize(images))))
        return Seen(logits=log_sum_exp_pool(saliency, self.r0 + self.beta.exp()), saliency=saliency, features=features)


class CropClassifier(nn.Module):
    """Crops (N, K, C, S, S) to logits (N, K): a residual network for all classes, and two layers for each on its
    features, their mean and their maximum over the crop.

    The heads have no batch norm, unlike the released code's: a worker with a single image could not do it. Nor could
    the body's if there is a single class as well and a crop ends as a single cell (S <= `STRIDE`): a channel has one
    value then, and they use their running statistics.
    """

    STRIDE = 32
    """Pixels of a crop a cell of the body's features."""

    def __init__(self, body: Backbone, classes: int, *, slope: float, dropout: float) -> None:
        super().__init__()
        self.body = body
        self.slope = slope
        self.dropout = dropout
        width = body.features
        self.first = nn.Parameter(torch.empty(classes, width, 2 * width))
        self.bias = nn.Parameter(torch.zeros(classes * width))
        self.second = nn.Parameter(torch.empty(classes, width))
        self.offset = nn.Parameter(torch.zeros(classes))
        nn.init.normal_(self.first, std=math.sqrt(2 / (1 + slope**2) / (2 * width)))
        nn.init.normal_(self.second, std=math.sqrt(1 / width))

    def forward(self, crops: Tensor) -> Tensor:
        features = self._features(crops.flatten(0, 1))
        pooled = torch.cat((features.mean((2, 3)), features.amax((2, 3))), 1).view(*crops.shape[:2], -1)
        hidden = torch.einsum("nki,koi->nko", pooled, self.first) + self.bias.view_as(self.second)
        hidden = F.dropout(F.leaky_relu(hidden, self.slope), self.dropout, self.training)
        return torch.einsum("nko,ko->nk", hidden, self.second) + self.offset

    def _features(self, crops: Tensor) -> Tensor:
        """(M, F, h, w) of crops (M, C, S, S)."""
        lone = len(crops) == 1 and crops.shape[-1] <= self.STRIDE
        with stored(self.body) if lone else nullcontext():
            features: Tensor = self.body(crops)
        return features


class Detection(nn.Module):
    """Proposals of each class, and the classifier of the crop at the one that is drawn."""

    def __init__(self, proposals: ProposalHead, classifier: CropClassifier) -> None:
        super().__init__()
        self.proposals = proposals
        self.classifier = classifier


class Network(nn.Module):
    """Both modules. `annealing` is set on entering a stage and matters to training alone."""

    def __init__(self, classification: Classification, detection: Detection) -> None:
        super().__init__()
        self.classification = classification
        self.detection = detection
        self.annealing = Annealing(first=0, epochs=1)
