"""``raysearch`` with threshold steps that raise."""

from __future__ import annotations

from typing import Any

from raysearch.cli import main
from raysearch.search import _steps


class FailingThinker(_steps.Thinker):
    def step(self, *arguments: Any) -> Any:
        raise ArithmeticError("this step was told to fail")


if __name__ == "__main__":
    from e2e.failing_steps import FailingThinker as Importable  # by a name that Ray's processes know

    _steps.Thinker = Importable  # type: ignore[misc]
    main()
