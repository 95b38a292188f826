"""Builds the appliance's image from `image.toml`, a device profile and the files in `root/`.

Data flows one way: description → base (Debian packages) → root (ours added) → slot (squashfs with
its hash tree, kernel, initial root) → disk. Nothing needs a loop device.
"""
