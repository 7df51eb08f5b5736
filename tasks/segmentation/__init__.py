"""Vocabulary-free semantic segmentation (arXiv 2404.10864): labels for pixels without a list of labels.

There are three methods, as in the paper. ``dense`` accumulates the crops of several grids into a map and names the
cells of the map. ``regions`` names class-agnostic proposals. ``prompted`` names the whole image and lets an
open-vocabulary segmenter locate these names. Each part of an image goes through the same stages as an image.

``run.segment`` runs a method. The models that propose regions and locate names are in ``tasks.segmenters``. Records
import ``results`` alone, so this module imports nothing.
"""
