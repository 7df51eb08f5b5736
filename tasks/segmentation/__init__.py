"""Vocabulary-free semantic segmentation (arXiv 2404.10864): what is where, in words that nobody had to choose.

Three ways, as in the paper. ``dense`` names the cells of a map that crops of several grids are accumulated into;
``regions`` names class-agnostic proposals; ``prompted`` names the whole image and lets an open-vocabulary segmenter
draw those names. Each part goes through the same stages as an image. ``run.segment`` runs a way; what proposes and
draws is in ``tasks.segmenters``. Records use ``results`` without the rest, so nothing is imported here.
"""
