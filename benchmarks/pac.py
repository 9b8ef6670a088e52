"""What the PAC-CRF costs in time and memory, beside an unfolded implementation.

    python -m benchmarks.pac [--images 8] [--device cpu] [--repeats 5] [--out results.json]

Forward and backward pass of the paper's size: 14 classes with two labels each, 20 x 20 patches, a 19 x 19 window, five
mean-field steps. The unfolded side is written as the released code of PAC works: each step gathers the values at all
offsets, multiplies them by the kernel and contracts with the weights. Both give the same answers (checked on every
run). Each measurement is a process of its own, the two sides in turn; memory is the peak above what inputs and
libraries take. Ratios are medians over repeats of paired measurements, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.pac import binary_mean_field

CLASSES, PATCHES, WINDOW, STEPS = 14, 20, 19, 5
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def unfolded(logits: Tensor, features: Tensor, weights: Tensor, unary_weight: Tensor, steps: int) -> Tensor:
    """`binary_mean_field` by unfolding: (N, K, P, P) logits to logits."""
    count, classes, height, width = logits.shape
    window = weights.shape[-1]

    def gather(values: Tensor) -> Tensor:
        return F.unfold(values, window, padding=window // 2).unflatten(1, (values.shape[1], window**2))

    apart = gather(features) - features.flatten(2).unsqueeze(2)
    kernel = torch.exp(-0.5 * apart.square().sum(1))[:, None, None]
    unary = torch.stack((F.logsigmoid(-logits), F.logsigmoid(logits)), 2)
    found = unary
    for _ in range(steps):
        heard = gather(found.softmax(2).flatten(1, 2)).unflatten(1, (classes, 2)) * kernel
        passed = torch.einsum("nkbdj,kabd->nkaj", heard, weights.flatten(3))
        found = unary_weight * unary - passed.view(count, classes, 2, height, width)
    return found[:, :, 1] - found[:, :, 0]


WAYS = {"ours": binary_mean_field, "unfolded": unfolded}


def drawn(images: int, classes: int, patches: int, window: int, device: str) -> Inputs:
    """Logits, features, weights and the weight of the unaries, with gradients."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    inputs = (
        normal(images, classes, patches, patches),
        0.3 * normal(images, classes, patches, patches),
        0.01 * normal(classes, 2, 2, window, window),
        torch.ones(()),
    )
    return tuple(x.to(device).requires_grad_() for x in inputs)  # type: ignore[return-value]


def check(device: str) -> None:
    """Both ways agree, in answers and gradients."""
    results = []
    for way in WAYS.values():
        inputs = drawn(2, 3, 6, 5, device)
        answer = way(*inputs, STEPS)
        answer.square().sum().backward()
        results.append((answer.detach(), *(x.grad for x in inputs)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def peak(device: str) -> int:
    """Largest memory so far in bytes: of the process, or what was allocated on the device."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated()


def once(way: str, images: int, device: str) -> dict[str, float]:
    """Seconds of a pass after a first one, and bytes of both above what stood before."""
    torch.set_num_threads(1)
    # the libraries' own memory must not count
    WAYS[way](*drawn(1, 2, 4, 3, device), 1).sum().backward()
    inputs = drawn(images, CLASSES, PATCHES, WINDOW, device)
    before = peak(device)
    for _ in range(2):
        started = time.perf_counter()
        WAYS[way](*inputs, STEPS).sum().backward()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "bytes": peak(device) - before}


def measure(images: int, device: str, repeats: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, found in runs.items():
            command = [sys.executable, "-m", "benchmarks.pac", "--once", way, "--images", str(images)]
            out = subprocess.run([*command, "--device", device], check=True, capture_output=True, text=True).stdout
            found.append(json.loads(out))
    rows: dict[str, Any] = {}
    for what in ("seconds", "bytes"):
        ratios = [b[what] / a[what] for a, b in zip(runs["ours"], runs["unfolded"], strict=True)]
        rows[what] = {
            **{way: statistics.median(run[what] for run in found) for way, found in runs.items()},
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    parser.add_argument("--once", choices=tuple(WAYS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(once(args.once, args.images, args.device)))
        return
    check(args.device)
    rows = measure(args.images, args.device, args.repeats)
    record = {
        "benchmark": "pac",
        "images": args.images,
        "classes": CLASSES,
        "patches": PATCHES,
        "window": WINDOW,
        "steps": STEPS,
        "device": args.device if args.device == "cpu" else torch.cuda.get_device_name(),
        "repeats": args.repeats,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "results": rows,
    }
    text = json.dumps(record, indent=2)
    if args.out:
        args.out.write_text(text + "\n")
    print(text)
    for what, row in rows.items():
        low, high = row["ratio_range"]
        both = f"ours {row['ours']:.4g}, unfolded {row['unfolded']:.4g}"
        print(f"{what:<8} {both}: {row['ratio']:.1f} times, {low:.1f}-{high:.1f}")


if __name__ == "__main__":
    main()
