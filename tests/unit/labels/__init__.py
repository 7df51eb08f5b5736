"""The forms of labels and what they imply."""
