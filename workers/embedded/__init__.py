"""Everything on one machine: the stack, its private Redis, the in-process tagger."""
