"""Where a study runs: a Ray of its own on this machine, or a cluster that is running already."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysearch import _signals
from raysearch.errors import ResourceError
from raysearch.study._capacity import autoscaler_config, capacity
from raysearch.study._probe import nothing_answers, probe
from raysearch.study._quiet import set_environment
from raysearch.study._ray_processes import killed_when_asked
from raysearch.study._resources import Machine, object_store_memory, this_machine


@dataclass(frozen=True)
class Cluster:
    """`address` is None for a Ray of our own, ``auto`` or ``HOST:PORT`` for one to join."""

    address: str | None = None

    @property
    def shared(self) -> bool:
        """Whether others may use it too: then what we started has to be taken down one by one."""
        return self.address is not None

    @contextlib.contextmanager
    def connect(self, scratch: Path) -> Iterator[None]:
        """Within it, Ray is up.

        Args:
            scratch: for the files of a Ray of our own; whoever removes it ends what may still run there.

        Raises:
            ResourceError: no cluster answers at the address.
        """
        with self._joined() if self.shared else _own_ray(scratch):
            yield

    @contextlib.contextmanager
    def _joined(self) -> Iterator[None]:
        ray = _quiet_ray()
        assert self.address is not None
        try:
            try:
                ray.init(address=probe(self.address), **QUIET)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _refused(self.address, error) from None
            yield
        finally:
            with _signals.deferred():
                ray.shutdown()

    def machine(self) -> Machine:
        """What can be shared out; of a joined cluster, what its nodes have and what its autoscaler may add."""
        if self.address is None:
            return this_machine()
        with self._joined():
            import ray

            nodes = ray.nodes()
            alive = [node["Resources"] for node in nodes if node["Alive"]]
            return capacity(alive, autoscaler_config(ray.get_runtime_context().gcs_address))

    def beside_the_driver(self) -> Any:
        """What a thin trial asks of Tune: a place on the driver's own node, which is the one that the search cannot
        outlive. It holds no CPU (on a full machine it would wait for ever for one). Tune refuses an empty request,
        hence a crumb of the node's address; nodes can share an address, hence its name beside it."""
        import ray
        from ray import tune

        node = ray.get_runtime_context().get_node_id()
        return tune.PlacementGroupFactory(
            [{f"node:{ray.util.get_node_ip_address()}": 0.001}], bundle_label_selector=[{"ray.io/node-id": node}]
        )


QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


def _quiet_ray() -> Any:
    set_environment()
    import ray

    return ray


@contextlib.contextmanager
def _own_ray(scratch: Path) -> Iterator[None]:
    """A Ray that has what this machine lets us use, keeps its files in `scratch`."""
    ray = _quiet_ray()
    machine = this_machine()
    store = object_store_memory(machine.memory)
    try:
        ray.init(
            address="local",
            num_cpus=machine.cpus,
            num_gpus=machine.gpus,
            object_store_memory=store,
            include_dashboard=False,
            _memory=machine.memory - store,
            _temp_dir=str(scratch / "ray"),  # Ray opens it to everybody
            **QUIET,
        )
        yield
    finally:
        with _signals.deferred(), killed_when_asked(scratch):
            ray.shutdown()


def _refused(address: str, error: BaseException) -> ResourceError:
    """The message for a cluster that answered and then would not have us."""
    if str(error).startswith("Version mismatch"):
        versions = " ".join(str(error).split()).removeprefix("Version mismatch: ")
        return ResourceError(
            f"--address {address}: Ray and Python have to be the same on all nodes and here ({versions}): install the"
            " cluster's versions here, or run raysearch on the cluster"
        )
    return nothing_answers(address, error.__cause__ or error)


def parse_address(address: str | None) -> str | None:
    """Checks ``--address``.

    Raises:
        ResourceError: a Ray Client address, or neither ``auto`` nor ``HOST:PORT``.
    """
    if address is None or address == "auto":
        return address
    if address.startswith("ray://"):
        raise ResourceError(
            f"--address {address}: a Ray Client connection cannot hold a search; run raysearch on the cluster:"
            f" 'ray job submit --address http://{address[6:].split(':')[0]}:8265 -- raysearch tune ...'"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ResourceError(f"--address {address}: expected 'auto' or HOST:PORT, such as 10.0.0.5:6379")
    return address
