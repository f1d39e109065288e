"""Checkpoints that training libraries write: PyTorch Lightning and timm."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.teacher_files.file import CLASSES
from pipeline.teachers.torchvision_on_cpu import import_torchvision

RATE = 0.01
"""Learning rate."""


def lightning(
    network: nn.Module, images: Tensor, *, averaged: bool = False, holds_network: bool = False
) -> bytes:
    """Return the checkpoint that Lightning's Trainer writes after two epochs.

    Args:
        network: The network. It gets the trained weights: those that were averaged, if any.
        images: Images to train on.
        averaged: Whether the callback EMAWeightAveraging averages the weights.
        holds_network: Whether the network is one of the hyperparameters.
    """
    import_torchvision()
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
    from torchmetrics.classification import MulticlassAccuracy

    class Training(pl.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            more = {"network": network} if holds_network else {}
            self.save_hyperparameters({"rate": RATE, "folder": Path("/data"), **more})
            self.model = network
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(CLASSES))
            self.accuracy = MulticlassAccuracy(CLASSES)

        def training_step(self, batch: Any, _: int) -> Tensor:
            logits = self.model(batch[0])
            loss: Tensor = self.loss(logits, batch[1])
            self.accuracy(logits, batch[1])
            self.log("loss", loss)
            self.log("accuracy", self.accuracy)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), RATE)
            rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=10)
            return [optimizer], [rates]

    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, save_last=True, monitor="loss")
        trainer = pl.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            callbacks=[best, *([EMAWeightAveraging(decay=0.5)] if averaged else [])],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        labels = torch.arange(len(images)) % CLASSES
        trainer.fit(Training(), DataLoader(TensorDataset(images, labels), len(images)))
        return Path(best.last_model_path).read_bytes()


def timm_saver(network: nn.Module, images: Tensor, *, averaged: bool) -> bytes:
    """Return the checkpoint that timm's training script writes after two epochs.

    Args:
        network: The network. It gets the trained weights: those that were averaged, if any.
        images: Images to train on.
        averaged: Whether the script averages the weights (`--model-ema`).
    """
    import_torchvision()
    from timm.utils.checkpoint_saver import CheckpointSaver
    from timm.utils.model_ema import ModelEmaV3

    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    average = ModelEmaV3(network, decay=0.5) if averaged else None
    arguments = argparse.Namespace(model="network", lr=RATE, data_dir=Path("/data"))
    with tempfile.TemporaryDirectory() as folder:
        saver = CheckpointSaver(
            network,
            optimizer,
            args=arguments,
            model_ema=average,
            checkpoint_dir=folder,
            recovery_dir=folder,
        )
        for epoch in range(2):
            network.train()(images).square().sum().backward()
            optimizer.step()
            if average is not None:
                average.update(network)
            saver.save_checkpoint(epoch, metric=float(epoch))
        content = (Path(folder) / "model_best.pth.tar").read_bytes()
    if average is not None:
        network.load_state_dict(average.module.state_dict())
    return content


def timm_hub(network: nn.Module, images: Tensor) -> bytes:
    """Return the weights file that timm writes for the Hugging Face Hub."""
    import_torchvision()
    from timm.models import save_for_hf

    with tempfile.TemporaryDirectory() as folder:
        save_for_hf(network, folder, safe_serialization=True)
        return (Path(folder) / "model.safetensors").read_bytes()
