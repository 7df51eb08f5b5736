"""What wildtag measures, and how processes count it. Knows nothing of the rest, so everything may import it."""
