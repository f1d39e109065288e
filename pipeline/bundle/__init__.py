"""The bundle: written, described, signed, unpacked and validated again."""
