"""Adapters of ``tasks.segmentation`` that propose regions and draw names. Importing this loads no torch.

``cells`` and ``superpixels`` propose regions without a model, ``segment_anything`` with one; ``clipseg`` draws names.
Models are loaded by ``transformers``, by a hub name or from a folder.
"""
