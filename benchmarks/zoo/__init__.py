"""The zoo: networks of most families of torchvision and timm, run with the project's commands."""
