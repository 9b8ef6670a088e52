"""The methods that ship with raysearch. They know nothing of Ray; raysearch knows none of them by name."""
