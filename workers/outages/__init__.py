"""What cannot be reached: noted once, watched, reported."""
