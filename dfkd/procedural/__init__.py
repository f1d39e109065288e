"""Procedural images: drawings and textures that use no data, as a source of training images."""
