"""The catalogue's words for GPUs, from the names and ids that drivers give them."""

import pytest

from profiles.hardware.family import gpu_family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("NVIDIA H100 PCIe", "h100"),
        ("NVIDIA H100 NVL", "h100"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200 NVL", "h200"),
        ("NVIDIA H20", "h20"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA GH200 144G HBM3e", "gh200"),
        ("NVIDIA B300 SXM6 AC", "b300"),
        ("NVIDIA GB200", "gb200"),
        ("NVIDIA GB300", "gb300"),
        ("NVIDIA GB10", "gb10"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100-PCIE-40GB", "a100"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("NVIDIA A10", "a10"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA A30", "a30"),
        ("NVIDIA A40", "a40"),
        ("NVIDIA A16", "a16"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40", "l40"),
        ("NVIDIA L40S", "l40s"),
        ("Tesla T4", "t4"),
        ("NVIDIA T4", "t4"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA GeForce RTX 3090", "rtx3090"),
        ("NVIDIA GeForce RTX 3080 Ti", "rtx3080ti"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA GeForce RTX 4090 D", "rtx4090d"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "rtx4090laptop"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "rtx4070tisuper"),
        ("NVIDIA GeForce RTX 5090", "rtx5090"),
        ("NVIDIA RTX A6000", "rtxa6000"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx6000ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtxpro6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtxpro6000"),
        ("Quadro RTX 6000", "quadrortx6000"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "a100"),
        ("NVIDIA GeForce GTX 1660 Ti", ""),
        ("NVIDIA Graphics Device", ""),
        ("", ""),
    ],
)
def test_a_product_name_has_a_family(name: str, family: str) -> None:
    assert gpu_family(name, "") == family


@pytest.mark.parametrize(
    ("name", "pci_id", "family"),
    [
        pytest.param("NVIDIA Graphics Device", "2901:10de", "b200", id="driver before the product"),
        pytest.param("GRID A100D-80C", "20b5:10de", "a100", id="virtual GPU"),
        pytest.param("NVIDIA H100 NVL", "2321:10de", "h100", id="both agree"),
        pytest.param("NVIDIA L40", "ffff:10de", "l40", id="unknown device"),
        pytest.param("Something", "2330:1002", "", id="another maker's device"),
    ],
)
def test_a_pci_id_goes_before_the_name(name: str, pci_id: str, family: str) -> None:
    assert gpu_family(name, pci_id) == family
