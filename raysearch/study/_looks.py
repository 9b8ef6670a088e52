"""Looks at a test split: recorded beside the studies, by the split's digest, so that a new study name resets nothing."""

from __future__ import annotations

import json
import time

from raysearch.study._study import Study


def record_look(study: Study, command: str, trial: int) -> int:
    """Writes down that the test split was looked at; how often it has been, this time included."""
    path = study.path.parent / "looks.jsonl"
    digest = study.config.split["digest"]
    entry = {
        "digest": digest,
        "study": study.config.name,
        "trial": trial,
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    with open(path, "a") as file:
        file.write(json.dumps(entry) + "\n")
    return sum(json.loads(line)["digest"] == digest for line in path.read_text().splitlines() if line.strip())
