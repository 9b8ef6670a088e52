"""What a trial costs when there is nothing to train.

Ours beside plain Tune, Tune with reuse_actors, Tune + TorchTrainer and Optuna alone, interleaved in one run: every
engine in a process of its own, `--repeats` rounds of A B C D E. A trial's cost is the time between the end of the first
trial (warm-up: Ray, the first worker group) and the end of the last, over the number of trials between. Tune
and Optuna evaluate ``(x - 2)**2``; ours runs a whole trial: lease, build, evaluate a tuning split, solve its threshold,
write checkpoint, evidence and metrics, tell Optuna's journal.

    python -m benchmarks.overhead                 table, and benchmarks/results/overhead.json
    python -m benchmarks.overhead --repeats 5 --trials 60
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENGINES = ("ours", "tune", "tune_reuse", "tune_train", "optuna")
TITLES = {
    "ours": "raysearch, one slot",
    "tune": "Ray Tune, a new actor a trial",
    "tune_reuse": "Ray Tune, reuse_actors",
    "tune_train": "Ray Tune + TorchTrainer, one trial at a time",
    "optuna": "Optuna, TPE, journal file",
}
TRIALS = {"ours": 60, "tune": 12, "tune_reuse": 60, "tune_train": 3, "optuna": 100}


def measure_ours(trials: int) -> float:
    """Ends of trials as the study's own metrics record them."""
    folder = tempfile.mkdtemp(prefix="overhead-")
    environment = {**os.environ, "RAYSEARCH_STUDIES": folder}
    what = "--method benchmarks.noop:Noop --data phantom:images=40,size=32 --slots 1 --keep-checkpoints 1 --study noop"
    subprocess.run(
        [sys.executable, "-m", "raysearch", "tune", *what.split(), "--samples", str(trials)],
        check=True,
        env=environment,
        cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ends = []
    for number in range(trials):
        line = Path(folder, "noop", "trials", str(number), "metrics.jsonl").read_text().splitlines()[-1]
        ends.append(json.loads(line)["time"])
    return per_trial(ends)


def measure_tune(engine: str, trials: int) -> float:
    import logging

    os.environ.update(TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_USAGE_STATS_ENABLED="0", RAY_TRAIN_V2_ENABLED="1")
    import ray
    from ray import tune

    folder = tempfile.mkdtemp(prefix="overhead-")
    ends: list[float] = []

    class Ends(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            ends.append(time.time())

    def plain(config: dict[str, float]) -> None:
        tune.report({"loss": (config["x"] - 2) ** 2})

    def train(config: dict[str, float]) -> None:
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.tune.integration.ray_train import TuneReportCallback

        def loop(config: dict[str, float]) -> None:
            ray.train.report({"loss": (config["x"] - 2) ** 2})

        TorchTrainer(
            loop,
            train_loop_config=config,
            scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(name=f"t{time.time_ns()}", storage_path=folder, callbacks=[TuneReportCallback()]),
        ).fit()

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    tune.Tuner(
        train if engine == "tune_train" else plain,
        param_space={"x": tune.uniform(-10, 10)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=trials, reuse_actors=engine == "tune_reuse", max_concurrent_trials=1
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Ends()]),
    ).fit()
    ray.shutdown()
    return per_trial(ends)


def measure_optuna(trials: int) -> float:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(Path(tempfile.mkdtemp(prefix="overhead-"), "journal.log"))))
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=0))
    ends: list[float] = []
    study.optimize(
        lambda trial: (trial.suggest_float("x", -10, 10) - 2) ** 2,
        n_trials=trials,
        callbacks=[lambda study, trial: ends.append(time.time())],
    )
    return per_trial(ends)


def per_trial(ends: list[float]) -> float:
    """Seconds a trial after the first one."""
    ends = sorted(ends)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def measure(engine: str, trials: int) -> float:
    if engine == "ours":
        return measure_ours(trials)
    if engine == "optuna":
        return measure_optuna(trials)
    return measure_tune(engine, trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, help="trials of ours and of reuse_actors; the slow engines run fewer")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "overhead.json")
    arguments = parser.parse_args()
    trials = {**TRIALS, **({"ours": arguments.trials, "tune_reuse": arguments.trials} if arguments.trials else {})}
    if arguments.engine:
        print(f"RESULT {measure(arguments.engine, trials[arguments.engine])}")
        return
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    load = os.getloadavg()[0]
    for _ in range(arguments.repeats):
        for engine in ENGINES:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.overhead", "--engine", engine, "--trials", str(trials["ours"])],
                capture_output=True, text=True, check=True, cwd=HERE.parent,
            )  # fmt: skip
            seconds[engine].append(float(done.stdout.split("RESULT ")[-1].split()[0]))
            print(f"{TITLES[engine]:<46} {1000 * seconds[engine][-1]:10.2f} ms", file=sys.stderr)
    ours = statistics.median(seconds["ours"])
    result = {
        "what": "seconds a trial with nothing to train",
        "command": f"python -m benchmarks.overhead --repeats {arguments.repeats}",
        "trials": trials,
        "load_at_start": load,
        "cpus": os.cpu_count(),
        "seconds": seconds,
        "median_ms": {engine: 1000 * statistics.median(values) for engine, values in seconds.items()},
        "times_ours": {engine: statistics.median(values) / ours for engine, values in seconds.items()},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{'engine':<46} {'median ms':>10} {'least':>9} {'most':>9} {'times ours':>11}")
    for engine in ENGINES:
        values = [1000 * s for s in seconds[engine]]
        print(
            f"{TITLES[engine]:<46} {statistics.median(values):10.2f} {min(values):9.2f} {max(values):9.2f}"
            f" {result['times_ours'][engine]:11.2f}"
        )


if __name__ == "__main__":
    main()
