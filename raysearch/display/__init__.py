"""What a running search shows."""

from raysearch.display._progress import Progress, eta_seconds, format_seconds

__all__ = ["Progress", "eta_seconds", "format_seconds"]
