"""The methods by name. One file each; a file holds a composition and no loop."""

from dfkd.recipe import Recipe
from dfkd.recipes.adadfq import ADADFQ
from dfkd.recipes.adi import ADI
from dfkd.recipes.cmi import CMI
from dfkd.recipes.dafl import DAFL, DAFL_CIFAR10
from dfkd.recipes.de_dfkd import DE_DFKD
from dfkd.recipes.deepinversion import DEEPINVERSION
from dfkd.recipes.dfad import DFAD, DFAD_CIFAR10
from dfkd.recipes.dfq_akd import DFQ_AKD
from dfkd.recipes.fast_datafree import FAST_DATAFREE
from dfkd.recipes.gdfq import GDFQ
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.house import HOUSE
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE
from dfkd.recipes.lra import LRA
from dfkd.recipes.mad import MAD
from dfkd.recipes.mb_dfkd import MB_DFKD
from dfkd.recipes.nayer import NAYER
from dfkd.recipes.pre_dfkd import PRE_DFKD
from dfkd.recipes.rdskd import RDSKD, RDSKD_CIFAR10
from dfkd.recipes.ta_dfkd import TA_DFKD
from dfkd.recipes.zeroq import ZEROQ
from dfkd.recipes.zskd import ZSKD
from dfkd.recipes.zskt import ZSKT

PUBLISHED: tuple[Recipe, ...] = (
    RDSKD,
    PRE_DFKD,
    TA_DFKD,
    LRA,
    DE_DFKD,
    DAFL,
    ZSKT,
    ZSKD,
    DEEPINVERSION,
    ADI,
    MAD,
    DFQ_AKD,
    MB_DFKD,
    DFAD,
    CMI,
    FAST_DATAFREE,
    NAYER,
)
"""The published methods, at their papers' defaults."""

OTHER_DATA: tuple[Recipe, ...] = (DAFL_CIFAR10, DFAD_CIFAR10, RDSKD_CIFAR10)
"""Published methods at their papers' defaults for another data set."""

FOR_QUANTIZATION: tuple[Recipe, ...] = (GDFQ, ADADFQ)
"""Published methods whose student is the quantized teacher."""

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (HOUSE, HOUSE_QUANTIZE, *PUBLISHED, *OTHER_DATA, *FOR_QUANTIZATION)
}
"""What a run file may ask for by name."""

__all__ = [
    "FOR_QUANTIZATION",
    "HELD_OUT",
    "HOUSE",
    "HOUSE_QUANTIZE",
    "OTHER_DATA",
    "PUBLISHED",
    "RECIPES",
    "ZEROQ",
]
