"""What wildtag measures. Knows nothing of the rest, so everything may import it."""
