"""`tickwire completion`: what a shell needs to complete commands, flags and their values."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

__all__ = ["completion_app"]

completion_app = App(
    name="completion",
    help="""Print the script with which a shell completes the commands, flags and choices of tickwire, or install it.

With --install it is written to where the shell looks for it, and a line is added to the shell's start-up file; it
holds in shells that are started afterwards.
""",
    help_epilogue="""Examples:

    eval "$(tickwire completion bash)"

    tickwire completion zsh --install

    tickwire completion fish > ~/.config/fish/completions/tickwire.fish
""",
)


@completion_app.default
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="Which shell.")],
    /,
    *,
    install: Annotated[bool, Parameter(help="Install the script instead of printing it.", negative="")] = False,
) -> None:
    """Print or install the script."""
    from tickwire.cli.app import app

    if install:
        print(f"installed {app.install_completion(shell=shell)}")
    else:
        print(app.generate_completion(shell=shell), end="")
