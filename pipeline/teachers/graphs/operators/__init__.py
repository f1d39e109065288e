"""The operators that can be converted, one file for each group."""
