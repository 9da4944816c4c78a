"""The command ``python -m dia.serve`` (``dia-serve``): speech over HTTP, compatible with OpenAI's clients."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dia.cli.run import run
from dia.config.checks import bullet_list
from dia.errors import UserError

if TYPE_CHECKING:
    from dia.config.serve import ServeConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run("serve", {"": serve}, arguments)


def serve(config: "ServeConfig") -> None:
    """Serve a model until a signal ends the command.

    Raises:
        UserError: With all problems of the configuration, for a checkpoint that cannot be opened, and for an
            address that cannot be listened on.
    """
    if problems := config.problems():
        raise UserError(bullet_list("the server cannot start:", problems))
    try:
        import uvicorn

        from dia.serving.app import create_app
        from dia.serving.connections import server_settings
    except ModuleNotFoundError as error:
        raise UserError(
            f"the server needs the package {error.name}; install `pip install '.[serve]'`"
        ) from error
    from dia.model import Dia
    from dia.serving.page import missing_pages

    if problems := missing_pages(config.pages):
        raise UserError(bullet_list("the server cannot start:", problems))
    with _listen(config.host, config.port) as listener:
        port: int = listener.getsockname()[1]
        dia = Dia.from_pretrained(
            config.ckpt,
            codec=config.codec.name or None,
            quantization=config.quantization,
            adapter=config.adapter or None,
        )
        app = create_app(dia, replace(config, port=port))
        print(f"serving {config.ckpt} at http://{config.host}:{port} (API: /docs)", flush=True)
        uvicorn.Server(server_settings(app)).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises :class:`UserError` when the address cannot be listened on."""
    try:
        return socket.create_server((host, port), backlog=512, reuse_port=False)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}:{port} ({error}); choose another host or port") from error


if __name__ == "__main__":
    main()
