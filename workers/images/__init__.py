"""The index of images: written by the retrieval stage, searched and compared through RPC, derived from records."""
