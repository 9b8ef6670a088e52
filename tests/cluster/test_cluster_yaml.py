"""``cluster.yaml`` by Ray's own rules, and what docs/cluster.md promises of it."""

from __future__ import annotations

import copy
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from raysearch.study._capacity import capacity

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
DOCS = (ROOT / "docs" / "cluster.md").read_text()


@pytest.fixture
def config() -> dict[str, Any]:
    """As `ray up` sees it, with Ray's defaults for AWS, before anybody asks AWS."""
    prepared: dict[str, Any] = prepare_config(yaml.safe_load(TEXT))
    return prepared


def workers(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    validate_config(config)
    broken = copy.deepcopy(config)
    workers(broken)["gpu"]["resources"]["GPU"] = 0.5
    with pytest.raises(Exception, match="is not of type 'integer'"):
        validate_config(broken)


def test_the_head_trains_nothing_and_gpu_nodes_come_and_go(config: dict[str, Any]) -> None:
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert workers(config)
    for kind in workers(config).values():
        assert kind["resources"]["GPU"] >= 1
        assert kind["resources"]["CPU"] >= 1
        assert kind["min_workers"] == 0
        assert isinstance(kind["priority"], int)
    assert len({kind["priority"] for kind in workers(config).values()}) == len(workers(config))
    spot = max(workers(config).values(), key=lambda kind: int(kind["priority"]))
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert config["provider"]["cache_stopped_nodes"] is False


def test_an_idle_cluster_offers_what_it_may_start(config: dict[str, Any]) -> None:
    machine = capacity([{"node:__internal_head__": 1.0}], config)
    assert machine.gpus == config["max_workers"]
    assert machine.places(cpus=1, gpus=1) == config["max_workers"]


def test_every_node_has_the_token_and_asks_for_it(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        starts = [command for command in commands if "ray start" in command]
        assert len(starts) == 1
        assert starts[0].index("export RAY_AUTH_MODE=token;") < starts[0].index("ray start")
    assert not any("initialization_commands" in kind for kind in config["available_node_types"].values())


def test_initialization_closes_the_token_and_can_be_repeated(config: dict[str, Any], tmp_path: Path) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a token")
    token.chmod(0o644)
    (tmp_path / ".bashrc").touch()
    bash = shutil.which("bash") or "bash"
    for command in [*config["initialization_commands"], *config["initialization_commands"]]:
        subprocess.run([bash, "-c", command], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    lines = (tmp_path / ".bashrc").read_text().splitlines()
    assert lines.count("export RAY_AUTH_MODE=token") == 1
    assert len(lines) == len(set(lines)) == 2


def test_nothing_is_public_but_ssh(config: dict[str, Any]) -> None:
    # where Ray makes or fills a group itself, it opens port 22 to 0.0.0.0/0
    assert "security_group" not in config["provider"]
    groups = [kind["node_config"]["SecurityGroupIds"] for kind in config["available_node_types"].values()]
    assert all(group == groups[0] for group in groups)
    assert len(groups[0]) == 1
    head = next(command for command in config["head_start_ray_commands"] if "ray start" in command)
    assert "--dashboard-host=127.0.0.1" in head
    assert "0.0.0.0" not in TEXT.replace("0.0.0.0/0", "") + DOCS
    rules = re.findall(r"authorize-security-group-ingress(.*?)(?:\n(?! )|```)", DOCS, re.DOTALL)
    assert len(rules) == 2
    public = [rule for rule in rules if "--cidr" in rule]
    assert [re.findall(r"--protocol (\S+) --port (\S+)", rule) for rule in public] == [[("tcp", "22")]]
    assert "/32" in public[0]
    assert all('--source-group "$GROUP"' in rule for rule in rules if rule not in public)


def test_what_only_the_user_can_know_is_refused_by_aws_until_it_is_said(config: dict[str, Any]) -> None:
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["ImageId"] == "ami-REPLACE-ME"
        assert kind["node_config"]["SecurityGroupIds"] == ["sg-REPLACE-ME"]
    for placeholder in ("ami-REPLACE-ME", "sg-REPLACE-ME"):
        assert TEXT.count(placeholder) == 1
        assert f"s/{placeholder}/" in DOCS


def test_the_project_is_on_every_node(config: dict[str, Any]) -> None:
    where = next(remote for remote, local in config["file_mounts"].items() if local == ".")
    install = next(command for command in config["setup_commands"] if "pip install" in command)
    assert install.endswith(f"--editable {where}[cloud]")
    assert f"'ray[default,tune,train]=={ray.__version__}'" in install  # Ray insists on one version
    assert install in config["head_setup_commands"]
    assert install in config["worker_setup_commands"]
    assert {".git", "studies"} <= set(config["rsync_exclude"])


def test_no_secrets_and_no_accounts() -> None:
    for text in (TEXT, DOCS):
        assert not re.search(
            r"AKIA|ASIA[A-Z0-9]{8}|aws_secret|PRIVATE KEY|\b\d{12}\b|arn:aws:iam::\d|\b(ami|sg)-[0-9a-f]{8,}", text
        )


def test_the_documented_commands_exist() -> None:
    from ray.scripts.scripts import cli as ray_cli

    from raysearch.cli import COMMANDS

    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL)) + TEXT
    assert set(re.findall(r"(?m)^#?\s*ray ([a-z-]+)", blocks)) <= set(ray_cli.commands)
    assert set(re.findall(r"(?m)(?:^|')raysearch ([a-z]+)", blocks)) <= set(COMMANDS)
    assert {"up", "down", "exec", "rsync-down"} <= set(re.findall(r"(?m)^ray ([a-z-]+)", blocks))
