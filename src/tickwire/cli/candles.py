"""Candles drawn with characters: a column each, two steps of price to a line, the volume below."""

import itertools
from collections.abc import Sequence
from decimal import Decimal

from rich.text import Text

from tickwire.client.replies import Candle

__all__ = ["draw_candles"]

# What stands in the upper and the lower half of a cell: the body of a candle, its wick, or nothing.
_NOTHING, _WICK, _BODY = range(3)
_CELLS = {
    (_NOTHING, _NOTHING): " ",
    (_NOTHING, _WICK): "╷",
    (_NOTHING, _BODY): "╻",
    (_WICK, _NOTHING): "╵",
    (_WICK, _WICK): "│",
    (_WICK, _BODY): "╽",
    (_BODY, _NOTHING): "╹",
    (_BODY, _WICK): "╿",
    (_BODY, _BODY): "┃",
}
_VOLUMES = " ▁▂▃▄▅▆▇█"
_SMALLEST = 4  # lines or columns; below, nothing can be seen


def draw_candles(candles: Sequence[Candle], width: int, height: int) -> Text:
    """The newest candles that fit into ``width`` by ``height`` characters, with prices at the right.

    Rising candles are green, falling ones red. The last line is the volume. Too small a place gives an empty text.
    Exact decimals are used throughout: a candle touches the lines that its prices are in.
    """
    labels = max((len(candle.close) for candle in candles[-1:]), default=0)
    columns = width - labels - 1
    lines = height - 1
    shown = candles[-columns:] if columns > 0 else []
    if not shown or columns < _SMALLEST or lines < _SMALLEST:
        return Text()
    prices = [tuple(map(Decimal, (row.open, row.high, row.low, row.close))) for row in shown]
    top, bottom = max(row[1] for row in prices), min(row[2] for row in prices)
    steps = 2 * lines
    styles = ["green" if close >= opened else "red" for opened, _, _, close in prices]

    def step(price: Decimal) -> int:
        """Which half line from below a price is in."""
        if top == bottom:
            return lines
        return min(steps - 1, int((price - bottom) * steps / (top - bottom)))

    spans = []
    for opened, high, low, close in prices:
        spans.append((step(low), step(min(opened, close)), step(max(opened, close)), step(high)))
    text = Text(no_wrap=True, overflow="crop")
    for line in range(lines - 1, -1, -1):
        cells = [_CELLS[_half(span, 2 * line + 1), _half(span, 2 * line)] for span in spans]
        _append_cells(text, cells, styles)
        text.append(_label(line, lines, step(prices[-1][3]) // 2, top, bottom, shown[-1].close, labels), "dim")
        text.append("\n")
    volumes = [Decimal(row.volume) for row in shown]
    most = max(volumes)
    bars = [_VOLUMES[int(volume * (len(_VOLUMES) - 1) / most) if most else 0] for volume in volumes]
    _append_cells(text, bars, [f"{style} dim" for style in styles])
    return text


def _append_cells(text: Text, cells: Sequence[str], styles: Sequence[str]) -> None:
    """Cells of one style after another go in one piece: a terminal is slow at changing colours."""
    shown = ["" if cell == " " else style for cell, style in zip(cells, styles, strict=True)]
    for style, run in itertools.groupby(range(len(cells)), key=shown.__getitem__):
        text.append("".join([cells[index] for index in run]), style)


def _half(span: tuple[int, int, int, int], half: int) -> int:
    low, body_low, body_high, high = span
    if body_low <= half <= body_high:
        return _BODY
    return _WICK if low <= half <= high else _NOTHING


def _label(line: int, lines: int, last: int, top: Decimal, bottom: Decimal, close: str, width: int) -> str:
    """The price beside a line: of the last close, of the edges, and nothing elsewhere."""
    if line == last:
        return f" {close:>{width}}"
    if line not in (0, lines - 1):
        return " " * (width + 1)
    price = str(top if line else bottom)
    return f" {price[:width]:>{width}}"
