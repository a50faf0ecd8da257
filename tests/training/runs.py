"""Weights of runs, and cancelling after some epochs."""

from napari_mil.events import CancellationToken, EpochEnded


def weights(run):
    return (run / "classifier" / "weights.safetensors").read_bytes()


def cancelling(at):
    """Return arguments that cancel a run after some epochs."""
    token = CancellationToken()

    def listen(event):
        if isinstance(event, EpochEnded) and event.epoch >= at:
            token.cancel()

    return {"cancel": token, "on_event": listen}
