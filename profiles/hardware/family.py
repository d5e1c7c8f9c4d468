"""The catalogue's word for a kind of GPU: "h100", "l40s", "rtx4090", from PCI id or product name.

Form factors share a word (H100 PCIe, NVL and SXM are all "h100"): what differs between them is
memory, which is measured, not looked up.
"""

import re

# Device ids of NVIDIA (pci.ids of 2026-05-24). They come first because names vary where ids do
# not: "Tesla T4" and "NVIDIA T4", "NVIDIA Graphics Device" before a driver knows its product,
# "GRID A100D-80C" in a virtual machine. 25b6 is both A2 and A16 and is left to the name.
_DEVICES = {
    "gb300": "31a1 31c2 31c3",
    "b300": "3182",
    "gb200": "2941",
    "b200": "2901 2909",
    "b100": "2920 29bc",
    "gb10": "2e12",
    "thor": "2b00",
    "gh200": "2342 2348",
    "h200": "2335 233b",
    "h100": "2313 2321 2330 2331 2336 2337 2338 2339 233d",
    "h800": "2322 2324 233a",
    "h20": "230c 230e 2328 2329 232c",
    "l40s": "26b9",
    "l40g": "26b8",
    "l40": "26b5 26f5",
    "l20": "26b7 26ba",
    "l4": "27b8",
    "l2": "27b6",
    "a100": "20b0 20b1 20b2 20b3 20b5 20b8 20be 20bf 20f0 20f1 20f2",
    "a800": "20bd 20f3 20f5 20f6",
    "a40": "2235",
    "a30": "20b7 20b9",
    "a10g": "2237",
    "a10": "2236",
    "t4g": "1eb4",
    "t4": "1eb8",
    "v100": "1db0 1db1 1db2 1db3 1db4 1db5 1db6 1db7 1db8 1df5 1df6",
    "rtxpro6000": "2bb1 2bb4 2bb5",
    "rtx6000ada": "26b1",
    "rtxa6000": "2230",
    "rtx5090": "2b85",
    "rtx4090": "2684",
    "rtx3090": "2204",
}
_BY_DEVICE = {device: family for family, ids in _DEVICES.items() for device in ids.split()}
_NVIDIA = "10de"

# Where the id says nothing: a word of the name that is a family by itself, ...
_WORDS = frozenset({*_DEVICES, "a16", "a2", "orin"})
# ... or, for RTX cards, the name without the words that do not tell one card from another. "Laptop"
# is not among these: NVIDIA GeForce RTX 4090 Laptop GPU is a smaller chip with 16 GB.
_RTX_NOISE = frozenset({
    "nvidia", "geforce", "gpu", "generation", "blackwell", "edition", "workstation", "server",
    "max", "q", "sff", "with", "design",
})  # fmt: skip


def gpu_family(name: str, pci_id: str) -> str:
    """The family of a GPU, "" when it is none we know; `pci_id` is "device:vendor", or ""."""
    device, _, vendor = pci_id.partition(":")
    if vendor == _NVIDIA and device in _BY_DEVICE:
        return _BY_DEVICE[device]
    words = re.findall(r"[a-z0-9]+", name.lower())
    if "rtx" in words:
        return "".join(word for word in words if word not in _RTX_NOISE)
    return next((word for word in words if word in _WORDS), "")
