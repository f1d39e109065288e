"""Terms of the generator's loss: functions of tensors, each to be minimized by the generator.

Entropies are in nats, and values are means over the batch unless a term's docstring differs. The
table `TERMS` lists them with their needs; torch is imported only when a term is loaded.
"""

from dfkd.terms.table import ADVERSARIES, LABELLED, TERMS, WRAPPERS, TermEntry

__all__ = ["ADVERSARIES", "LABELLED", "TERMS", "WRAPPERS", "TermEntry"]
