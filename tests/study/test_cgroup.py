"""Limits of control groups as they are found in containers, batch jobs and services. Files are literal."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from raysearch import _cgroup
from raysearch._cgroup import Limits, keep_to_quota, limits, usable_cpus
from raysearch.study import _resources
from raysearch.study._resources import LARGE_STORE, LEAST_STORE, memory_limit, object_store_memory

GIB = 1 << 30
V1_NONE = "9223372036854771712"

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = """\
31 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
33 31 0:28 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
34 31 0:29 {root} /sys/fs/cgroup/memory rw,relatime shared:11 - cgroup cgroup rw,memory
35 31 0:30 {root} /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,clone_children
36 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
"""


def found(groups: str, mountinfo: str, files: dict[str, str]) -> Limits:
    return limits(groups, mountinfo, lambda path: files.get(path))


def v1_groups(path: str) -> str:
    return f"11:memory:{path}\n10:cpuset:{path}\n4:cpu,cpuacct:{path}\n1:name=systemd:{path}\n0::{path}\n"


DOCKER = "/docker/9f2c"
KUBE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7.slice/cri-containerd-5a.scope"
SLURM1 = "/slurm/uid_1000/job_77/step_batch/task_0"
SLURM2 = "/system.slice/slurmstepd.scope/job_77/step_0/user/task_0"
USER = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"

CASES = {
    "docker, version 2: --cpus 1.5 --memory 4g": (
        "0::/\n",
        V2,
        {"/sys/fs/cgroup/cpu.max": "150000 100000\n", "/sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
         "/sys/fs/cgroup/memory.high": "max\n"},
        Limits(1.5, 4 * GIB),
    ),
    "docker, version 1: --cpus 0.5 --memory 2g": (
        v1_groups(DOCKER),
        V1.format(root=DOCKER),
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
         "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
         "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n"},
        Limits(0.5, 2 * GIB),
    ),
    "docker, version 1, none": (
        v1_groups(DOCKER),
        V1.format(root=DOCKER),
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
         "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
         "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{V1_NONE}\n"},
        Limits(None, int(V1_NONE)),
    ),
    "systemd: limits on a user's slice, and memory.high on a service": (
        f"0::{USER}\n",
        V2,
        {"/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max": "400000 100000\n",
         f"/sys/fs/cgroup{USER}/cpu.max": "max 100000\n",
         "/sys/fs/cgroup/user.slice/user-1000.slice/memory.max": f"{16 * GIB}\n",
         "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/memory.high": f"{12 * GIB}\n",
         f"/sys/fs/cgroup{USER}/memory.max": "max\n"},
        Limits(4.0, 12 * GIB),
    ),
    "slurm, version 1: the job's memory": (
        f"8:memory:{SLURM1}\n5:cpuacct,cpu:/\n0::/system.slice/slurmd.service\n",
        V1.format(root="/"),
        {"/sys/fs/cgroup/memory/slurm/uid_1000/job_77/memory.limit_in_bytes": f"{8 * GIB}\n",
         f"/sys/fs/cgroup/memory{SLURM1}/memory.limit_in_bytes": f"{V1_NONE}\n",
         "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        Limits(None, 8 * GIB),
    ),
    "slurm, version 2": (
        f"0::{SLURM2}\n",
        V2,
        {"/sys/fs/cgroup/system.slice/slurmstepd.scope/job_77/memory.max": f"{8 * GIB}\n",
         "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_77/step_0/memory.max": f"{9 * GIB}\n",
         f"/sys/fs/cgroup{SLURM2}/cpu.max": "200000 100000\n"},
        Limits(2.0, 8 * GIB),
    ),
    "kubernetes, version 1: ancestors that cannot be seen limit its memory": (
        v1_groups(KUBE),
        V1.format(root=KUBE),
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
         "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
         "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{V1_NONE}\n",
         "/sys/fs/cgroup/memory/memory.stat": f"cache 1\nhierarchical_memory_limit {6 * GIB}\ntotal_cache 1\n"},
        Limits(2.0, 6 * GIB),
    ),
    "kubernetes, version 2, with the machine's names": (
        f"0::{KUBE}\n",
        V2.replace("0:26 /", f"0:26 {KUBE}"),
        {"/sys/fs/cgroup/cpu.max": "300000 100000\n", "/sys/fs/cgroup/memory.max": f"{6 * GIB}\n"},
        Limits(3.0, 6 * GIB),
    ),
    "lxc, version 2": (
        "0::/.lxc\n",
        V2,
        {"/sys/fs/cgroup/cpu.max": "100000 50000\n", "/sys/fs/cgroup/.lxc/memory.max": "max\n"},
        Limits(2.0, None),
    ),
    "lxc, version 1, the whole tree mounted": (
        v1_groups("/lxc/box"),
        V1.format(root="/"),
        {"/sys/fs/cgroup/cpu,cpuacct/lxc/box/cpu.cfs_quota_us": "100000\n",
         "/sys/fs/cgroup/cpu,cpuacct/lxc/box/cpu.cfs_period_us": "100000\n",
         "/sys/fs/cgroup/memory/lxc/memory.limit_in_bytes": f"{GIB}\n"},
        Limits(1.0, GIB),
    ),
    "hybrid: memory in version 1, nothing in version 2": (
        "4:memory:/box\n1:cpu:/\n0::/\n",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        {"/sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{3 * GIB}\n"},
        Limits(None, 3 * GIB),
    ),
    "names of another namespace": (
        "0::/../other\n",
        V2.replace("0:26 /", "0:26 /.."),
        {"/sys/fs/cgroup/cpu.max": "100000 100000\n"},
        Limits(1.0, None),
    ),
    "mounted over, at a place with a blank": (
        "0::/a\n",
        "30 23 0:26 /elsewhere /my\\040groups rw - cgroup2 x rw\n31 23 0:26 / /my\\040groups rw - cgroup2 x rw\n",
        {"/my groups/a/cpu.max": "100000 100000\n"},
        Limits(1.0, None),
    ),
    "nothing there": ("", "", {}, Limits(None, None)),
    "nonsense": ("x\n0\n1:2\n", "a b - c\n\n - \n", {"/sys/fs/cgroup/cpu.max": "y"}, Limits(None, None)),
    "quotas that are none": (
        "0::/\n",
        V2,
        {"/sys/fs/cgroup/cpu.max": "0 0\n", "/sys/fs/cgroup/memory.max": "\n"},
        Limits(None, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_tightest_limit_holds(case: str) -> None:
    groups, mountinfo, files, wanted = CASES[case]
    assert found(groups, mountinfo, files) == wanted


@pytest.mark.parametrize(("quota", "cpus"), [(None, 8), (16.0, 8), (8.0, 8), (2.0, 2), (1.5, 1), (0.5, 1), (0.01, 1)])
def test_a_quota_is_a_whole_number_of_cpus_and_one_at_least(
    quota: float | None, cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_cgroup, "own_limits", lambda: Limits(cpus=quota))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert usable_cpus() == cpus
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    keep_to_quota()
    assert os.environ["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    keep_to_quota()
    assert os.environ.get("OMP_NUM_THREADS") == (str(cpus) if cpus < 8 else None)


@pytest.mark.parametrize(("limit", "memory"), [(None, 16 * GIB), (2 * GIB, 2 * GIB), (int(V1_NONE), 16 * GIB)])
def test_memory_is_the_limit_below_the_machine_s(
    limit: int | None, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_resources, "own_limits", lambda: Limits(memory=limit))
    monkeypatch.setattr(_resources.psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * GIB))
    assert memory_limit() == memory


@pytest.mark.parametrize(
    ("memory", "shared", "store"),
    [
        (10 * GIB, 64 << 20, 3 * GIB),
        (100 * GIB, 64 << 20, LARGE_STORE),
        (100 * GIB, 60 * GIB, 30 * GIB),
        (100 << 20, 60 * GIB, LEAST_STORE),
    ],
)
def test_the_object_store_has_a_share_of_it(
    memory: int, shared: int, store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_frsize=1, f_bavail=shared))
    assert object_store_memory(memory) == store


def test_this_process_has_some() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
