"""The search itself: Ray Tune driven by an Optuna study over leased slots."""
