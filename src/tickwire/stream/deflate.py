"""The offer of permessage-deflate that the stream takes."""

from collections.abc import Sequence

from websockets.exceptions import NegotiationError
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.typing import ExtensionParameter

from tickwire.stream.frames import DEFLATE_WINDOW_BITS

__all__ = ["EXTENSIONS"]


class _SharedDeflate(ServerPerMessageDeflateFactory):
    """Deflate as the shared frames need it: no context, and a window that every frame fits into.

    The client is asked to keep no context either, which saves its 40 kB of ours.
    """

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        response, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < DEFLATE_WINDOW_BITS:
            raise NegotiationError(f"expected server_max_window_bits of at least {DEFLATE_WINDOW_BITS}")
        return response, extension


EXTENSIONS: Sequence[ServerPerMessageDeflateFactory] = (_SharedDeflate(),)
