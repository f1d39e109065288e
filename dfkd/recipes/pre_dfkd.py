"""PRE-DFKD: a variational autoencoder replays all earlier images in constant memory."""

from dataclasses import replace

from dfkd.composition import VaeReplay
from dfkd.recipes.mb_dfkd import MB_DFKD

PRE_DFKD = replace(
    MB_DFKD,
    name="pre-dfkd",
    citation="Binici et al., Robust and Resource-Efficient Data-Free Knowledge Distillation by "
    "Generative Pseudo Replay, AAAI 2022",
    memory=VaeReplay(share=1 / 8, latent=1000, lr=0.02 / 40, steps=4),
    reported={
        "CIFAR-10 ResNet-34 -> ResNet-18": "peak 94.1, mu 87.4 (third-party table)",
        "CIFAR-100 ResNet-34 -> ResNet-18": "peak 77.1, mu 70.2 (third-party table)",
    },
    notes=(
        MB_DFKD.notes[1],
        "The reduction and clamp of the adversary are those of the published code. The adversary "
        "has little effect.",
        "The student is in eval mode while the generator is trained; in the published code it is "
        "in train mode.",
        "The encoder's layers have the published types and sizes, but other details may differ.",
    ),
)
