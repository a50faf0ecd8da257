"""Cards of foundation encoders, whose weights come from their authors.

Nothing here is shipped: a card says where weights lie, which network they belong to, and how a tile
becomes a vector. The same name stands for different vectors in different tools; `embedding` says
which one this is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from napari_mil.encoders.cards import EncoderCard, Normalisation

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OPTIMUS = Normalisation((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
LUNIT = Normalisation((0.70322989, 0.53606487, 0.66096631), (0.21716536, 0.26081574, 0.20723464))
EXTRA = "the extra `encoders` (pip install 'napari-mil[encoders]')"


class Embedding(StrEnum):
    """Rule that makes a vector of a network's output."""

    POOLED = "mean of the last map"
    CLASS_TOKEN = "class token"  # noqa: S105  # no password
    CLASS_TOKEN_AND_MEAN = "class token, then mean of the patch tokens"  # noqa: S105


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where the weights of an encoder lie."""

    repository: str
    """Repository on Hugging Face."""
    file: str = "pytorch_model.bin"
    """File in it."""
    revision: str = "main"
    """Branch, tag or commit."""
    gated: bool = False
    """Whether terms must be accepted with an account of one's own."""

    @property
    def page(self) -> str:
        """Address of the repository's page."""
        return f"https://huggingface.co/{self.repository}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """Network of an encoder, as timm builds it."""

    name: str
    """Name in timm."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that differ from those of the name."""
    gated_mlp: bool = False
    """Whether blocks have SwiGLU in place of GELU."""
    norm_epsilon: float = 1e-6
    """Epsilon of layer norms."""
    ignored: tuple[str, ...] = ()
    """Beginnings of names of tensors that the file may hold and the encoder does not use."""


@dataclass(frozen=True, slots=True)
class FoundationModel:
    """What is needed to run a foundation encoder."""

    card: EncoderCard
    weights: WeightsSource
    architecture: Architecture
    embedding: Embedding
    input_px: int
    """Side in pixels of what enters the network: the middle of a tile of the card's size."""


def _model(
    name: str,
    title: str,
    weights: WeightsSource,
    architecture: Architecture,
    *,
    dim: int,
    normalisation: Normalisation,
    licence: str,
    embedding: Embedding = Embedding.CLASS_TOKEN,
    tile_px: int = 224,
    input_px: int = 224,
    mpp: float = 0.5,
) -> FoundationModel:
    """Return a model with the card that follows from its parts."""
    access = "gated" if weights.gated else "open"
    card = EncoderCard(
        name=name,
        title=title,
        dim=dim,
        tile_px=tile_px,
        mpp=mpp,
        source=f"{weights.page} ({weights.revision})",
        licence=licence,
        implementation="napari_mil.encoders.foundation:FoundationEncoder",
        smallest_tile=tile_px // 4,
        needs=f"{EXTRA} and its weights ({access})",
        normalisation=normalisation,
        embedding=str(embedding),
    )
    return FoundationModel(card, weights, architecture, embedding, input_px)


_UNI_OPTIONS = {"init_values": 1e-5, "dynamic_img_size": True}
_UNI2_OPTIONS = {
    "img_size": 224,
    "patch_size": 14,
    "depth": 24,
    "num_heads": 24,
    "init_values": 1e-5,
    "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2,
    "no_embed_class": True,
    "reg_tokens": 8,
    "dynamic_img_size": True,
}
_VIRCHOW_OPTIONS = {
    "img_size": 224,
    "init_values": 1e-5,
    "mlp_ratio": 5.3375,
    "dynamic_img_size": True,
}
_OPTIMUS_OPTIONS = {"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False}
_GIGAPATH_OPTIONS = {
    "img_size": 224,
    "patch_size": 16,
    "embed_dim": 1536,
    "depth": 40,
    "num_heads": 24,
    "init_values": 1e-5,
    "mlp_ratio": 5.33334,
}
_KAIKO = "kaiko_ai_towards_large_pathology_fms"


def _kaiko(name: str, size: str, architecture: str, dim: int, **options: Any) -> FoundationModel:
    """Return one of Kaiko's vision transformers."""
    return _model(
        name,
        f"Kaiko {size}",
        WeightsSource(f"1aurent/{architecture}.{_KAIKO}", "model.safetensors"),
        Architecture(architecture, {"dynamic_img_size": True, **options}),
        dim=dim,
        normalisation=HALF,
        licence="Kaiko, non-commercial",
    )


def _lunit(patch: int) -> FoundationModel:
    """Return one of Lunit's vision transformers."""
    architecture = f"vit_small_patch{patch}_224"
    return _model(
        f"lunit-vits{patch}",
        f"Lunit DINO ViT-S/{patch}",
        WeightsSource(f"1aurent/{architecture}.lunit_dino", "model.safetensors"),
        Architecture(architecture, {"dynamic_img_size": True}),
        dim=384,
        normalisation=LUNIT,
        licence="Lunit, non-commercial",
    )


_MODELS = (
    _model(
        "uni",
        "UNI, ViT-L/16",
        WeightsSource("MahmoodLab/UNI", gated=True),
        Architecture("vit_large_patch16_224", _UNI_OPTIONS),
        dim=1024,
        normalisation=IMAGENET,
        licence="CC-BY-NC-ND-4.0",
    ),
    _model(
        "uni2-h",
        "UNI2-h, ViT-H/14",
        WeightsSource("MahmoodLab/UNI2-h", gated=True),
        Architecture("vit_giant_patch14_224", _UNI2_OPTIONS, gated_mlp=True),
        dim=1536,
        normalisation=IMAGENET,
        licence="CC-BY-NC-ND-4.0",
    ),
    _model(
        "virchow",
        "Virchow, ViT-H/14",
        WeightsSource("paige-ai/Virchow", gated=True),
        Architecture("vit_huge_patch14_224", _VIRCHOW_OPTIONS, gated_mlp=True),
        dim=2560,
        normalisation=IMAGENET,
        licence="Apache-2.0",
        embedding=Embedding.CLASS_TOKEN_AND_MEAN,
    ),
    _model(
        "virchow2",
        "Virchow2, ViT-H/14",
        WeightsSource("paige-ai/Virchow2", gated=True),
        Architecture("vit_huge_patch14_224", {**_VIRCHOW_OPTIONS, "reg_tokens": 4}, gated_mlp=True),
        dim=2560,
        normalisation=IMAGENET,
        licence="CC-BY-NC-ND-4.0",
        embedding=Embedding.CLASS_TOKEN_AND_MEAN,
    ),
    _model(
        "h-optimus-0",
        "H-optimus-0, ViT-g/14",
        WeightsSource("bioptimus/H-optimus-0"),
        Architecture("vit_giant_patch14_reg4_dinov2", _OPTIMUS_OPTIONS),
        dim=1536,
        normalisation=OPTIMUS,
        licence="Apache-2.0",
    ),
    _model(
        "h-optimus-1",
        "H-optimus-1, ViT-g/14",
        WeightsSource("bioptimus/H-optimus-1", gated=True),
        Architecture("vit_giant_patch14_reg4_dinov2", _OPTIMUS_OPTIONS),
        dim=1536,
        normalisation=OPTIMUS,
        licence="CC-BY-NC-ND-4.0",
    ),
    _model(
        "h0-mini",
        "H0-mini, ViT-B/14",
        WeightsSource("bioptimus/H0-mini", gated=True),
        Architecture(
            "vit_base_patch14_reg4_dinov2",
            {"img_size": 224, "init_values": 1e-5, "mlp_ratio": 5.33334},
            gated_mlp=True,
        ),
        dim=1536,
        normalisation=OPTIMUS,
        licence="CC-BY-NC-ND-4.0",
        embedding=Embedding.CLASS_TOKEN_AND_MEAN,
    ),
    _model(
        "prov-gigapath",
        "Prov-GigaPath, ViT-g/16",
        WeightsSource("prov-gigapath/prov-gigapath", gated=True),
        Architecture("vit_giant_patch14_dinov2", _GIGAPATH_OPTIONS, gated_mlp=True),
        dim=1536,
        normalisation=IMAGENET,
        licence="Apache-2.0 with conditions",
        tile_px=256,
    ),
    _kaiko("kaiko-vits16", "ViT-S/16", "vit_small_patch16_224", 384),
    _kaiko("kaiko-vits8", "ViT-S/8", "vit_small_patch8_224", 384),
    _kaiko("kaiko-vitb16", "ViT-B/16", "vit_base_patch16_224", 768),
    _kaiko("kaiko-vitb8", "ViT-B/8", "vit_base_patch8_224", 768),
    _kaiko("kaiko-vitl14", "ViT-L/14", "vit_large_patch14_reg4_dinov2", 1024, img_size=518),
    _lunit(16),
    _lunit(8),
    _model(
        "phikon",
        "Phikon, ViT-B/16",
        WeightsSource("owkin/phikon", "model.safetensors"),
        Architecture("vit_base_patch16_224", norm_epsilon=1e-12),
        dim=768,
        normalisation=IMAGENET,
        licence="Owkin, non-commercial",
    ),
    _model(
        "phikon-v2",
        "Phikon-v2, ViT-L/16",
        WeightsSource("owkin/phikon-v2", "model.safetensors"),
        Architecture("vit_large_patch16_224", {"init_values": 1e-5}),
        dim=1024,
        normalisation=IMAGENET,
        licence="Owkin, non-commercial",
    ),
    _model(
        "gpfm",
        "GPFM, ViT-L/14",
        WeightsSource("majiabo/GPFM", "GPFM.pth"),
        Architecture("vit_large_patch14_dinov2", {"img_size": 224, "init_values": 1e-5}),
        dim=1024,
        normalisation=IMAGENET,
        licence="CC-BY-NC-ND-4.0",
    ),
    _model(
        "dinov2-vitb14",
        "DINOv2 ViT-B/14, photographs",
        WeightsSource("timm/vit_base_patch14_dinov2.lvd142m", "model.safetensors"),
        Architecture("vit_base_patch14_dinov2", {"img_size": 518, "dynamic_img_size": True}),
        dim=768,
        normalisation=IMAGENET,
        licence="Apache-2.0",
    ),
    _model(
        "dinov2-vitl14",
        "DINOv2 ViT-L/14, photographs",
        WeightsSource("timm/vit_large_patch14_dinov2.lvd142m", "model.safetensors"),
        Architecture("vit_large_patch14_dinov2", {"img_size": 518, "dynamic_img_size": True}),
        dim=1024,
        normalisation=IMAGENET,
        licence="Apache-2.0",
    ),
    _model(
        "resnet18-imagenet",
        "ResNet-18, photographs",
        WeightsSource("timm/resnet18.tv_in1k", "model.safetensors"),
        Architecture("resnet18", ignored=("fc.",)),
        dim=512,
        normalisation=IMAGENET,
        licence="BSD-3-Clause",
        embedding=Embedding.POOLED,
    ),
    _model(
        "resnet50-imagenet",
        "ResNet-50 to its third stage, photographs",
        WeightsSource("timm/resnet50.tv_in1k", "model.safetensors"),
        Architecture(
            "resnet50",
            {"features_only": True, "out_indices": (3,)},
            ignored=("fc.", "layer4."),
        ),
        dim=1024,
        normalisation=IMAGENET,
        licence="BSD-3-Clause",
        embedding=Embedding.POOLED,
    ),
)

FOUNDATION_MODELS: dict[str, FoundationModel] = {model.card.name: model for model in _MODELS}
"""Models by name; adding one takes an entry in the table above."""
ALIASES: dict[str, str] = {
    "uni_v1": "uni",
    "uni_v2": "uni2-h",
    "uni2": "uni2-h",
    "hoptimus0": "h-optimus-0",
    "h_optimus_0": "h-optimus-0",
    "hoptimus1": "h-optimus-1",
    "h0mini": "h0-mini",
    "gigapath": "prov-gigapath",
    "phikon_v2": "phikon-v2",
    "phikonv2": "phikon-v2",
    "lunit-dino-s16": "lunit-vits16",
    "lunit-dino-s8": "lunit-vits8",
}
"""Names in other tools that stand for the same vectors."""
