"""``flopwatch completion``."""

import argparse

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch completion bash > ~/.local/share/bash-completion/completions/flopwatch
  flopwatch completion zsh > ~/.zfunc/_flopwatch      with fpath+=~/.zfunc before compinit in ~/.zshrc
  flopwatch completion tcsh > ~/.flopwatch.tcsh       and source it in ~/.tcshrc

The script knows the commands and options of this version: write it anew after an upgrade.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="which shell will read it")


def main(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from runners.cli import whole_parser

    print(shtab.complete(whole_parser(), shell=options.shell))
    return 0
