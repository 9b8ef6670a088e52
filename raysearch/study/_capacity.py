"""What a joined cluster has, and what its autoscaler may add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from raysearch.study._resources import Machine

UNKNOWN_MEMORY = 1 << 40
"""Bytes, where a node type does not say."""

Resources = Mapping[str, float]


def capacity(alive: Sequence[Resources], config: Mapping[str, Any] | None) -> Machine:
    """What a study can ever get of a cluster.

    Args:
        alive: resources of the nodes that are up.
        config: of the cluster's autoscaler (as `ray up` reads it), or None if it has none. Its nodes count whether they
            are up or not: a cluster that is idle has none of them.

    >>> head, gpu = {"node:__internal_head__": 1.0}, {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 4}
    >>> config = {"head_node_type": "head", "max_workers": 3, "available_node_types": {"head": {}, "gpu": gpu}}
    >>> str(capacity([head], config)), str(capacity([head, gpu["resources"]], config))
    ('24 CPUs, 3 GPUs, 3072.0 GiB', '24 CPUs, 3 GPUs, 3072.0 GiB')
    """
    nodes = list(alive)
    if config is not None:
        most = int(config["max_workers"])
        kinds = [kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]]
        workers = [kind.get("resources", {}) for kind in kinds for _ in range(int(kind.get("max_workers", most)))]
        workers.sort(key=lambda resources: int(resources.get("GPU", 0)), reverse=True)
        nodes = [node for node in nodes if "node:__internal_head__" in node] + workers[:most]
    training = [node for node in nodes if node.get("CPU", 0)]
    shapes = tuple((int(node["CPU"]), int(node.get("GPU", 0))) for node in training)
    memory = sum(int(node.get("memory", UNKNOWN_MEMORY)) for node in training)
    return Machine(cpus=sum(c for c, _ in shapes), gpus=sum(g for _, g in shapes), memory=memory, nodes=shapes)


def autoscaler_config(address: str) -> dict[str, Any] | None:
    """The config of the autoscaler of the cluster at HOST:PORT, if its monitor runs on this machine, as it does on the
    head of a cluster that `ray up` made. Ray has no call that answers it."""
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        options = dict(part.split("=", 1) for part in arguments if part.startswith("--") and "=" in part)
        if options.get("--gcs-address") == address and options.get("--autoscaling-config"):
            try:
                loaded = yaml.safe_load(Path(options["--autoscaling-config"]).expanduser().read_text("utf-8"))
            except (OSError, yaml.YAMLError):
                return None
            return loaded if isinstance(loaded, dict) and "available_node_types" in loaded else None
    return None
