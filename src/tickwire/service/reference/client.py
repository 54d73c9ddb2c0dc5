"""The page of the Python client, from its signatures and docstrings.

Read from the sources, not imported: the server knows nothing of the client, and this page is all they have to do with
each other.
"""

import ast
import copy
import functools
import inspect
from pathlib import Path

import tickwire
from tickwire.service.reference.markdown import code, table

__all__ = ["client_page"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef

_PACKAGE = Path(tickwire.__file__).parent / "client"
_REST = ("RestClient", "SyncRestClient")  # their methods are made from the functions of these modules
_CALLS = ("calls", "pages")

_GROUPS: dict[str, tuple[str, ...]] = {
    "Streams": ("Client", "Stream", "OrderBook", "Candle", "Latest", "Queue", "Counters"),
    "The connection": ("Connection", "ConnectionSettings", "BackOff"),
    "Events": ("Event", "Connected", "Reconnecting", "Gap", "Resynchronised", "Refused", "BadFrame", "RawFrame"),
    "REST": ("RestClient", "SyncRestClient", "Retries", "NO_RETRIES", "RateLimit", "ServerClock"),
    "Numbers and times": ("decimal", "moment", "unknown"),
    "Exceptions": (
        "ClientError",
        "StreamEnded",
        "SubscriptionRefused",
        "StreamOverflow",
        "ApiError",
        "Unauthorized",
        "Forbidden",
        "RateLimited",
        "ServerFailed",
        "ConnectionFailed",
        "TimedOut",
        "InvalidReply",
    ),
}

_INTRODUCTION = """# Python client

All of `tickwire.client`. How to use it: [streams](../how-to/use-the-python-client.md),
[REST](../how-to/rest-from-python.md). Rows are those of the API, with names in snake case: see
[topics](topics.md) and [REST](rest.md). `tickwire.client.sync` has `Client` and `Stream` once more, without asyncio.
"""


def client_page() -> str:
    """The whole page."""
    exported = _exports()
    grouped = {name for names in _GROUPS.values() for name in names}
    if grouped != exported.keys():
        raise RuntimeError(f"expected each name of the client in one group, got {sorted(grouped ^ exported.keys())}")
    parts = [_INTRODUCTION]
    for title, names in _GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(name, exported[name]) for name in names]
    parts.append("## Without asyncio\n")
    parts += [_entry(name, "sync") for name in ("Client", "Stream")]
    return "\n".join(parts)


@functools.cache
def _module(name: str) -> ast.Module:
    return ast.parse((_PACKAGE / f"{name}.py").read_text(encoding="utf-8"))


def _exports() -> dict[str, str]:
    """The module of each name that the package exports."""
    return {
        alias.name: (node.module or "").removeprefix("tickwire.client.")
        for node in _module("__init__").body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _definition(module: str, name: str) -> ast.stmt:
    for node in _module(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name and not _is_overload(node):
            return node
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node
    raise LookupError(f"expected {name} in {module}.py, found nothing of that name")


def _is_overload(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in node.decorator_list)


def _entry(name: str, module: str) -> str:
    node = _definition(module, name)
    if isinstance(node, ast.ClassDef):
        return _class(name, node, module)
    if isinstance(node, ast.FunctionDef):
        return f"### {name}\n\n{code(_signature(name, node, module), 'python')}\n{_text(node)}\n"
    assert isinstance(node, ast.Assign)
    return f"### {name}\n\n{code(f'{name} = {ast.unparse(node.value)}', 'python')}"


def _class(name: str, node: ast.ClassDef, module: str) -> str:
    methods = [child for child in node.body if isinstance(child, _Function)]
    made = next((method for method in methods if method.name == "__init__"), None)
    parts = [f"### {'sync.' * (module == 'sync')}{name}\n"]
    fields = _fields(node)
    if made is not None:
        parts.append(code(_signature(name, made, module), "python"))
    elif fields:
        shown = ", ".join(
            f"{field}: {kind}" + (f" = {default}" if default else "") for field, kind, default, _ in fields
        )
        parts.append(code(f"{name}({shown})", "python"))
    parts.append(_text(node))
    if made is not None and ast.get_docstring(made):
        parts.append(_text(made))
    described = [(field, kind, text) for field, kind, _, text in fields if text]
    if described:
        parts.append(
            "\n" + table(["field", "type", "meaning"], [[f"`{f}`", f"`{k}`", text] for f, k, text in described])
        )
    shown_methods = [
        (method, _signature(method.name, method, module)) for method in methods if not method.name.startswith("_")
    ]
    if name in _REST:
        shown_methods += _calls(node, awaited=name == "RestClient")
    parts += [f"\n{code(signature, 'python')}\n{_text(method)}" for method, signature in shown_methods]
    return "\n".join(part for part in parts if part) + "\n"


def _calls(node: ast.ClassDef, *, awaited: bool) -> list[tuple[_Function, str]]:
    """The methods that are made from calls: ``ping = _awaited(calls.ping)``."""
    found: list[tuple[_Function, str]] = []
    for child in node.body:
        if isinstance(child, ast.Assign) and isinstance(child.value, ast.Call) and len(child.value.args) == 1:
            argument = child.value.args[0]
            if (
                isinstance(argument, ast.Attribute)
                and isinstance(argument.value, ast.Name)
                and argument.value.id in _CALLS
            ):
                function = _definition(argument.value.id, argument.attr)
                assert isinstance(function, ast.FunctionDef)
                signature = _signature(argument.attr, function, argument.value.id, keep_first=True)
                several = argument.value.id == "pages"
                prefix = "async for row in " if awaited and several else "await " if awaited else ""
                found.append((function, prefix + signature.partition(" -> ")[0]))
    return found


def _fields(node: ast.ClassDef) -> list[tuple[str, str, str, str]]:
    """Name, type, default and docstring of what is declared in the class."""
    fields = []
    for child, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.target.id[0] != "_":
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = inspect.cleandoc(str(after.value.value)).replace("``", "`").replace("\n", " ")
            default = ast.unparse(child.value) if child.value is not None else ""
            fields.append((child.target.id, ast.unparse(child.annotation), default, text))
    return fields


def _signature(
    name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, *, keep_first: bool = False
) -> str:
    """As it is called: without ``self``, with ``await`` where that is needed."""
    node = _Readable(module).visit(copy.deepcopy(node))
    arguments = ast.unparse(node.args)
    if not keep_first:
        arguments = arguments.removeprefix("self").removeprefix(", ")
    if any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list):
        return f"{name}: {ast.unparse(node.returns)}" if node.returns is not None else name
    returned = "" if node.returns is None or node.name == "__init__" else f" -> {ast.unparse(node.returns)}"
    awaited = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{awaited}{name}({arguments}){returned}"


class _Readable(ast.NodeTransformer):
    """Constants of the module by their values, and types in quotes without them."""

    def __init__(self, module: str) -> None:
        self._constants = {
            to.id: node.value
            for node in _module(module).body
            if isinstance(node, ast.Assign)
            for to in node.targets
            if isinstance(to, ast.Name) and to.id[0] == "_" and to.id.isupper() and isinstance(node.value, ast.Call)
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = _unquoted(node.annotation)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.visit(node.args)
        node.returns = _unquoted(node.returns)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _text(node: ast.AsyncFunctionDef | ast.FunctionDef | ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").replace("``", "`")
