"""Search for images by text: the query, its vector, the words of an image, and the fusion. Loads no model."""
