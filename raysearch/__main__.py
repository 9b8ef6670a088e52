"""The command: it can be stopped in good order from its first moment on."""

from __future__ import annotations

import os
import sys

from raysearch import _signals


def run() -> None:
    _signals.catch()
    try:
        from raysearch.cli import main
    except KeyboardInterrupt:
        print("raysearch:", _signals.farewell(), file=sys.stderr)
        sys.exit(_signals.exit_code())
    try:
        main()
    except SystemExit as ended:
        if _signals.arrived() and isinstance(ended.code, int):
            os._exit(ended.code)  # all is written; Python would take seconds to tear down what it had imported
        raise


if __name__ == "__main__":
    run()
