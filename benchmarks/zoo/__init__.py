"""The zoo: one network of every family of torchvision and timm, through the product's commands."""
