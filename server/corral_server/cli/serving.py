"""`corral serve`."""

from contextlib import closing

import typer

from corral_server.cli import flags
from corral_server.cli.begin import begin
from corral_server.models.engine_process import EngineProcess
from corral_server.models.engines import Engines


def serve(
    context: typer.Context,
    config: flags.ConfigFile = None,
    model: flags.Models = None,
    default: flags.Default = None,
    address: flags.Address = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    token_file: flags.TokenFile = None,
    budget: flags.Budget = None,
    grace: flags.Grace = None,
    log_level: flags.LogLevel = None,
) -> None:
    """Serve models over gRPC. With no model named anywhere, the embedded demo model.

    Flags count before CORRAL_ variables, and those before the file. At SIGHUP, a server that has
    a file reads it again, loads the models that are new and unloads those that are gone.
    """
    said = flags.Flags(
        model=model,
        default=default,
        address=address,
        tls_cert=tls_cert,
        tls_key=tls_key,
        token_file=token_file,
        budget=budget,
        grace=grace,
        log_level=log_level,
    )
    begun = context.obj
    spare = begun if isinstance(begun, EngineProcess) else begin()
    with closing(Engines(spare=spare)) as engines:
        # What is imported here takes as long as the first engine does until it can load.
        from corral_server.cli.running import run_server

        run_server(config, said, engines)
