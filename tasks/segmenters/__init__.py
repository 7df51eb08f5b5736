"""Models and algorithms that propose regions and locate names for ``tasks.segmentation``. Does not import torch.

``cells`` and ``superpixels`` propose regions without a model, ``segment_anything`` with one. ``clipseg`` locates
names. ``transformers`` loads the models, by hub name or from a folder.
"""
