"""The stream's AsyncAPI document as a page for people."""

from typing import Any

__all__ = ["stream_page"]


def stream_page(document: dict[str, Any]) -> str:
    return ""
