"""Pictures for the README, made by the project itself: ``python -m ops.pictures``."""
