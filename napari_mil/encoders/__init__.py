"""Tile -> vector: the registry and the encoders that need no download."""

from napari_mil.encoders.backbone import BackboneEncoder
from napari_mil.encoders.encoder import Encoder, EncoderCard
from napari_mil.encoders.registry import create_encoder, list_encoders

__all__ = ["BackboneEncoder", "Encoder", "EncoderCard", "create_encoder", "list_encoders"]
