"""The networks of the zoo: one or a few of each family, mostly small ones."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

SIZE = 64
"""Width and height of the images, unless a network needs more."""


@dataclass(frozen=True)
class Recipe:
    """How the weights are trained.

    Attributes:
        accuracy: Held-out accuracy in percent at which the training ends.
        minutes: Time limit of the training.
        rate: Learning rate.
        batch: Images in a batch.
        seed: Seed of all random numbers.
    """

    accuracy: float = 60.0
    minutes: float = 15.0
    rate: float = 1e-3
    batch: int = 64
    seed: int = 0


RECIPE = Recipe()


@dataclass(frozen=True)
class Job:
    """One network.

    Attributes:
        architecture: As in a run file.
        size: Width and height of its images.
        arguments: Its `factory_arguments`.
        output: Its `output`, for a network that returns several outputs in train mode.
    """

    architecture: str
    size: int = SIZE
    arguments: dict[str, Any] = field(default_factory=dict)
    output: str | None = None

    @property
    def key(self) -> str:
        """The name of the row."""
        return self.architecture.replace(":", "-")

    def digest(self) -> str:
        """Return the digest of network, size, arguments and training recipe."""
        content = json.dumps({**asdict(self), "recipe": asdict(RECIPE)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


TORCHVISION = (
    Job("torchvision:alexnet"),
    Job("torchvision:convnext_tiny"),
    Job("torchvision:densenet121"),
    Job("torchvision:efficientnet_b0"),
    Job("torchvision:efficientnet_v2_s"),
    Job("torchvision:googlenet", output="logits"),
    # Without its auxiliary head, which needs images of 299 x 299.
    Job("torchvision:inception_v3", size=96, arguments={"aux_logits": False}),
    # Its windows of 7 x 7 divide the feature maps of 224 x 224 images only.
    Job("torchvision:maxvit_t", size=224),
    Job("torchvision:mnasnet0_5"),
    Job("torchvision:mobilenet_v2"),
    Job("torchvision:mobilenet_v3_small"),
    Job("torchvision:mobilenet_v3_large"),
    Job("torchvision:regnet_x_400mf"),
    Job("torchvision:regnet_y_400mf"),
    Job("torchvision:resnet18"),
    Job("torchvision:resnet50"),
    Job("torchvision:resnext50_32x4d"),
    Job("torchvision:shufflenet_v2_x0_5"),
    Job("torchvision:shufflenet_v2_x1_0"),
    Job("torchvision:squeezenet1_0"),
    Job("torchvision:squeezenet1_1"),
    Job("torchvision:swin_t"),
    Job("torchvision:swin_v2_t"),
    Job("torchvision:vgg11"),
    Job("torchvision:vgg11_bn"),
    Job("torchvision:vit_b_16", arguments={"image_size": 64}),
    Job("torchvision:wide_resnet50_2"),
)

TIMM = (
    Job("timm:convnext_atto"),
    Job("timm:deit_tiny_patch16_224", arguments={"img_size": 64}),
    Job("timm:dla46_c"),
    Job("timm:edgenext_xx_small"),
    Job("timm:efficientformer_l1", size=224),
    Job("timm:efficientnet_lite0"),
    Job("timm:efficientvit_b0"),
    Job("timm:ese_vovnet19b_slim"),
    Job("timm:fastvit_t8"),
    Job("timm:ghostnet_050"),
    Job("timm:hardcorenas_a"),
    Job("timm:levit_128s", arguments={"img_size": 64}),
    Job("timm:mixnet_s"),
    Job("timm:mobilenetv4_conv_small"),
    Job("timm:mobileone_s0"),
    Job("timm:mobilevit_xxs"),
    Job("timm:regnety_002"),
    Job("timm:repvgg_a0"),
    Job("timm:res2net50_14w_8s"),
    Job("timm:resnet10t"),
    Job("timm:resnext26ts"),
    Job("timm:selecsls42b"),
    Job("timm:tinynet_e"),
)

JOBS = (*TORCHVISION, *TIMM)
