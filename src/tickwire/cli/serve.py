"""`tickwire serve` and `tickwire config`: run the exchange, and see what it is set to."""

import json
import os
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.config import Env, Toml

from tickwire.service.settings import Settings, SettingsError, describe, unknown_variables

__all__ = ["config_app", "serve_app"]

ConfigFile = Annotated[Path | None, Parameter(help="TOML file with settings.")]
_ENVIRONMENT = Env("TICKWIRE_", command=False)


def _with_file(app: App, config: Path | None) -> None:
    """Let the values of a settings file stand below flags and environment. Raises ``SettingsError``."""
    if config is not None:
        try:
            tomllib.loads(config.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"--config: expected a TOML file: {config}: {error}") from None
        app.config = (_ENVIRONMENT, Toml(config, must_exist=True, use_commands_as_keys=False))


def _config_file(words: list[str]) -> Path | None:
    """The value of ``--config``: needed before the other flags are read, since they override what is in the file."""
    for index, word in enumerate(words):
        if word == "--config" and index + 1 < len(words):
            return Path(words[index + 1])
        if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
    named = os.environ.get("TICKWIRE_CONFIG")
    return Path(named) if named else None


serve_app = App(
    name="serve",
    config=_ENVIRONMENT,
    help="""Start the exchange: REST, stream and documents on one port.

Every setting can also come from the environment (TICKWIRE_PORT) or from a TOML file (port = 9000) given with --config;
flags win over the environment, the environment over the file.
""",
    help_epilogue="""Examples:

    tickwire serve

    tickwire serve --port 9000 --seed 7 --data /var/lib/tickwire

    tickwire serve --no-market --symbols BTCUSDT.PERP,BTCUSDT

    tickwire serve --demo-key demo-key-1 --demo-secret demo-secret-1
""",
)
config_app = App(
    name="config",
    config=_ENVIRONMENT,
    help="""Print every setting with its value and meaning, as flags, environment and --config file give them.
""",
    help_epilogue="""Examples:

    tickwire config

    TICKWIRE_PORT=9000 tickwire config --json

    tickwire config > tickwire.toml
""",
)


def _warn_of_unknown_variables() -> None:
    for sentence in unknown_variables(os.environ):
        print(f"tickwire: {sentence}", file=sys.stderr)


_file = _config_file(sys.argv)
_with_file(serve_app, _file)
_with_file(config_app, _file)


@serve_app.default
def serve_command(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008  # frozen: one for all is fine
    config: ConfigFile = None,  # noqa: ARG001  # read before the flags are, by _config_file
    repair: Annotated[
        bool, Parameter(help="Where the journal is damaged, go on without what can't be read.", negative="")
    ] = False,
) -> None:
    """Start the exchange."""
    _warn_of_unknown_variables()
    # Here, so that --help and the other commands need not load the whole server.
    from tickwire.service.server import ServeError, serve

    try:
        serve(settings, say=lambda text: print(text, flush=True), cut_damage=repair)
    except ServeError as error:
        print(f"tickwire serve: {error}", file=sys.stderr)
        sys.exit(1)


@config_app.default
def config_command(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008  # as above
    config: ConfigFile = None,  # noqa: ARG001  # read before the flags are, by _config_file
    as_json: Annotated[bool, Parameter(name="--json", help="Print one JSON object.", negative="")] = False,
) -> None:
    """Print every setting."""
    _warn_of_unknown_variables()
    values = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(settings).items()}
    if as_json:
        print(json.dumps(values, indent=2))
        return
    for setting in describe():
        value = values[setting.name]
        shown = f"{setting.name.replace('_', '-')} = {json.dumps(value)}"
        print(f"# {setting.help} ({setting.type})")
        # TOML has no null: what is not set is shown as a comment.
        print(f"# {shown.replace('null', '')}\n" if value is None else f"{shown}\n")
