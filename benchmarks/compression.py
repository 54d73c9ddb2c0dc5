"""permessage-deflate on all of 1,000 readers: bytes saved, and the server's CPU for each delivery.

tickwire negotiates that no context is kept, so a frame is compressed once and its bytes are shared; `websockets`
compresses for each connection, with its context, which saves more and costs as often as there are readers. One topic,
320-byte ticker frames whose prices change, 20 a second; each server also without compression, to see what it costs.
"""

from benchmarks.delivery import NAP, Delivery, one
from benchmarks.report import Row

__all__ = ["run"]

NAME = "compression"
TURNS_A_SECOND = 20.0


def run(quick: bool) -> list[Row]:
    """3 s a case, quick 0.2 s and 20 readers."""
    seconds, readers = (0.2, 20) if quick else (3.0, 1_000)

    def measure(name: str, deflate: bool) -> Delivery:
        delivery = one(name, readers=readers, rate=TURNS_A_SECOND, seconds=seconds, deflate=deflate, nap=NAP)
        if delivery.share < 1.0 or (delivery.report.deflated > 0) != deflate:
            raise RuntimeError(
                f"{name}: expected {delivery.expected} frames, {'all' if deflate else 'none'} of them compressed, "
                f"got {delivery.report.frames} and {delivery.report.deflated}"
            )
        return delivery

    rows = []
    rival = measure("websockets, deflate", True)
    for name, compressed, plain in (
        ("tickwire", measure("tickwire", True), measure("tickwire", False)),
        ("websockets", rival, measure("websockets", False)),
    ):
        own = name == "tickwire"
        bytes_saved = 1.0 - compressed.report.payload_bytes / plain.report.payload_bytes
        cost = compressed.cpu_per_delivery
        rows += [
            Row(
                NAME, f"{name}, deflate", "server CPU a delivery", "us", {"": cost * 1e6},
                cost / rival.cpu_per_delivery if own else None, "websockets, deflate" if own else "",
            ),
            Row(
                NAME, f"{name}, deflate", "the same against its plain frames", "us",
                {"": cost * 1e6}, cost / plain.cpu_per_delivery, f"{name}, plain",
            ),
            Row(NAME, f"{name}, deflate", "bytes saved", "% of the payload", {"": bytes_saved * 100}),
            Row(NAME, f"{name}, plain", "server CPU a delivery", "us", {"": plain.cpu_per_delivery * 1e6}),
        ]  # fmt: skip
    return rows
