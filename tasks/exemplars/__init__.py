"""Teaching by example: an image whose label a person accepted or rejected speaks for the images that look like it.

``nearness`` says how near is near enough in an archive, ``judging`` which labels an image gains and which are
withheld. Only vectors of images are compared with each other, never an image with a text: the two lie apart in CLIP
spaces.
"""
