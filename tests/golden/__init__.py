"""The project's stages held to inputs and outputs of the reference implementation: ``python -m tests.golden DIR``."""
