"""Training and evaluation of one configuration, without Ray."""

from raysearch.training._checkpoint import decode, encode
from raysearch.training._collective import Alone, Collective, ProcessGroup, broadcast
from raysearch.training._evaluate import Evaluation, Observations, Rule, evaluate, observe
from raysearch.training._score import Score, score
from raysearch.training._seeds import seed_all
from raysearch.training._trainer import Assignment, NonFiniteLossError, Trainer
from raysearch.training._workload import Workload

__all__ = [
    "Alone",
    "Assignment",
    "Collective",
    "Evaluation",
    "NonFiniteLossError",
    "Observations",
    "ProcessGroup",
    "Rule",
    "Score",
    "Trainer",
    "Workload",
    "broadcast",
    "decode",
    "encode",
    "evaluate",
    "observe",
    "score",
    "seed_all",
]
