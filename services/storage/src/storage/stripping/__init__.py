"""Remove everything but the picture from JPEG, PNG and WebP files without changing a pixel.

What stays: pixels, the colour profile's numbers, and the orientation when the picture needs turning. Every
other piece of metadata (EXIF, GPS, XMP, comments, embedded previews) and every byte that the decoder does not
use is left out of the copy.
"""
