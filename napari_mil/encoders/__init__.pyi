from .backbone import (
    BackboneEncoder,
)
from .cards import (
    EncoderCard,
)
from .catalogue import (
    list_encoders,
)
from .encoder import (
    Encoder,
)
from .registry import (
    create_encoder,
)

__all__ = [
    "BackboneEncoder",
    "Encoder",
    "EncoderCard",
    "create_encoder",
    "list_encoders",
]
