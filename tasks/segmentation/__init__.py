"""Vocabulary-free semantic segmentation (arXiv 2404.10864): what is where, in words that nobody had to choose.

Three ways, as in the paper. ``dense`` names the cells of a map that crops of several grids are accumulated into;
``regions`` names class-agnostic proposals; ``prompted`` names the whole image and lets an open-vocabulary segmenter
draw those names. Each region goes through the same stages as an image.
"""
