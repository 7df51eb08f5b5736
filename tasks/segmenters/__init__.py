"""What finds regions and draws names: the adapters of ``tasks.segmentation``. Importing this loads no torch.

``cells`` and ``superpixels`` propose regions without a model, ``segment_anything`` with one; ``clipseg`` draws names.
Models are those that ``transformers`` loads, by a hub name or from a folder.
"""
