"""Terms of the generator's loss. The generator minimizes their weighted sum.

Entropies are in nats. A value is a mean over the batch unless the term's docstring states
otherwise. The table `TERMS` lists each term with the inputs that it needs. Torch is imported only
when a term is loaded.
"""

from dfkd.terms.table import ADVERSARIES, LABELLED, TERMS, WRAPPERS, TermEntry, add_term

__all__ = ["ADVERSARIES", "LABELLED", "TERMS", "WRAPPERS", "TermEntry", "add_term"]
