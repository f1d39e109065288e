"""The base class of the run file's sections, and the range of counts. Imports no torch."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_COUNT = 10**6
"""The largest number of images, rounds or classes. More is a typing error, and could fill the
memory before anything else fails."""

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]


class Section(BaseModel):
    """A section of the run file. Unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
