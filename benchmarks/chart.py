"""A small chart of curves, as SVG: both axes logarithmic, a line for each name, its name at its end."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["draw"]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 120, 40, 48
# Blue, orange, green: told apart by most who do not see all colours, and dashed differently as well.
_STROKES = (("#1f5fa8", ""), ("#d9730d", "6 3"), ("#3f8f4f", "2 3"), ("#7a4fa3", "8 3 2 3"))
_MULTIPLES = (1, 2, 5)


def draw(title: str, across: str, up: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The chart. ``curves`` has points, all above zero, by name. Raises ``ValueError`` without any point."""
    points = [point for curve in curves.values() for point in curve]
    if not points or min(min(point) for point in points) <= 0:
        raise ValueError("curves: expected at least one point, and all of them above zero")
    columns, rows = [x for x, _ in points], [y for _, y in points]
    x_low, x_high = min(columns), max(columns)
    y_low, y_high = _ticks(min(rows), max(rows), outside=True)[0], _ticks(min(rows), max(rows), outside=True)[-1]

    def x_of(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _part(value, x_low, x_high)

    def y_of(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _part(value, y_low, y_high)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img"><title>{escape(title)}</title>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold" fill="#222222">{escape(title)}</text>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:g}" y="{_HEIGHT - 10}" text-anchor="middle" fill="#444444">'
        f"{escape(across)}</text>",
        f'<text transform="translate(14 {(_TOP + _HEIGHT - _BOTTOM) / 2:g}) rotate(-90)" text-anchor="middle" '
        f'fill="#444444">{escape(up)}</text>',
    ]
    for value in _ticks(y_low, y_high, outside=False):
        y = y_of(value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{value:,g}</text>')
    for value in _ticks(x_low, x_high, outside=False):
        x = x_of(value)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#eeeeee"/>')
        label = f"{value:,.0f}" if value >= 1 else f"{value:g}"
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle" fill="#444444">{label}</text>'
        )
    labels = _apart({name: y_of(curve[-1][1]) for name, curve in curves.items()})
    for (name, curve), (colour, dashes) in zip(curves.items(), _STROKES, strict=False):
        line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in curve)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in curve]
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{labels[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _part(value: float, low: float, high: float) -> float:
    """Where it is between the two, on a logarithmic scale, from 0 to 1."""
    return math.log(value / low) / math.log(high / low) if high > low else 0.5


def _ticks(low: float, high: float, *, outside: bool) -> list[float]:
    """1, 2 and 5 times powers of ten from ``low`` to ``high``; with ``outside`` one more on each side of these."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    values = [float(f"{multiple}e{power}") for power in powers for multiple in _MULTIPLES]
    if outside:
        return [max(value for value in values if value <= low), min(value for value in values if value >= high)]
    return [value for value in values if low <= value <= high]


def _apart(positions: Mapping[str, float], distance: float = 14.0) -> dict[str, float]:
    """The same, moved down where two would be nearer than ``distance``."""
    moved: dict[str, float] = {}
    last = -math.inf
    for name, position in sorted(positions.items(), key=lambda item: item[1]):
        last = moved[name] = max(position, last + distance)
    return moved
