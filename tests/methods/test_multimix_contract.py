"""The shipped contract, run over MultiMix and its baselines."""

from __future__ import annotations

from typing import ClassVar

from methods.multimix import Enc, EncMm, EncSsl, MultiMix, MultiMixUNet, Umtl, UmtlS, UmtlSsl, UmtlSslS
from raysearch.testing import MethodContract

SMALL = {"width": 4, "batch": 6, "lr": 0.005, "dropout": 0.1}
ENCODER = {**SMALL, "pad": 4}
SSL = {**ENCODER, "strong_pad": 2, "t": 0.6}


class TestMultiMixUNet(MethodContract):
    method = MultiMixUNet
    config: ClassVar = SMALL


class TestEnc(MethodContract):
    method = Enc
    config: ClassVar = ENCODER


class TestEncSsl(MethodContract):
    method = EncSsl
    config: ClassVar = SSL


class TestEncMm(MethodContract):
    method = EncMm
    config: ClassVar = {**ENCODER, "lambda_u": 5.0, "ramp": 0}


class TestUmtl(MethodContract):
    method = Umtl
    config: ClassVar = ENCODER


class TestUmtlS(MethodContract):
    method = UmtlS
    config: ClassVar = {**ENCODER, "saliency_sign": "signed"}


class TestUmtlSsl(MethodContract):
    method = UmtlSsl
    config: ClassVar = SSL


class TestUmtlSslS(MethodContract):
    method = UmtlSslS
    config: ClassVar = SSL


class TestMultiMix(MethodContract):
    method = MultiMix
    config: ClassVar = SSL


class TestMultiMixReleased(MethodContract):
    method = MultiMix
    config: ClassVar = {**SSL, "kl": "released", "normalize": "imagenet"}
