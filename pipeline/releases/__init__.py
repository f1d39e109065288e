"""Which bundle is released under a name, and orders to devices for engines."""
