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
        "The adversary's reduction and clamp are the published code's; it has little effect.",
        "The student is in eval mode while the generator learns; in the code it is in train mode.",
        "The encoder's layers have the published kinds and sizes but are not copied one by one.",
    ),
)
