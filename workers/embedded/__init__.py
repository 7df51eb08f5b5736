"""The embedded mode, on one machine: the stack, its private Redis, and the in-process tagger."""
