"""Errors as a person reads them: what happened in red, what to do dimmed, both on stderr."""

from collections.abc import Mapping

from rich.text import Text

from corral import errors
from corral.cli.output import harmless, stderr

# The most specific class wins.
HINTS: Mapping[type[errors.CorralError], str] = {
    errors.InvalidRequest: "see what can be given with: corral COMMAND --help",
    errors.ContextLengthExceeded: "shorten the prompt, or load the model with more --context-size",
    errors.ModelNotFound: "see what is there with: corral models",
    errors.ModelFileNotFound: "the path must exist on the server's machine",
    errors.HubNotFound: "look for it with: corral hub search WORDS, and corral hub files REPO",
    errors.Unauthenticated: "give one of the server's tokens: CORRAL_TOKEN",
    errors.PathNotAllowed: "the server's configuration lists the directories it may load from",
    errors.HubAccessDenied: "accept the terms on its page, and give the server a token: HF_TOKEN",
    errors.LoadConflict: "unload it first with: corral unload ID",
    errors.DuplicateRequestId: "wait for that request, or take another id",
    errors.NoDefaultModel: "name one with --model ID, or choose one with: corral default ID",
    errors.ModelFailed: "see why with: corral models; then load it again",
    errors.ModelFileInvalid: "check the file; a GGUF file is needed, whole",
    errors.ModelLoadFailed: "the server's log has llama.cpp's own words",
    errors.CapabilityNotSupported: "load it again with that --capability",
    errors.ChatTemplateFailed: "ask without a template: corral generate",
    errors.QueueFull: "try again later, or load the model with more --slots or --max-waiting",
    errors.SlowConsumer: "read the output faster",
    errors.DeadlineExceeded: "see how busy the models are with: corral stats",
    errors.InsufficientMemory: "see corral memory; make room with --evict-idle or corral unload ID",
    errors.DiskFull: "make room on the server's disk, or take a smaller quantization",
    errors.EngineRestarting: "try again in a moment",
    errors.ServerDraining: "try again when the server is back",
    errors.ServerUnreachable: "name another server with --address HOST:PORT or CORRAL_ADDRESS",
    errors.HubUnavailable: "try again later; what is there already is not downloaded again",
    errors.HubDataCorrupt: "download it again with: corral pull --force-download SOURCE",
    errors.ModelUnloaded: "load it again with: corral load ID SOURCE",
    errors.InternalError: "the server's log says more",
}


def report(error: errors.CorralError) -> None:
    """Shows an error and what to do about it."""
    show(error.message, _hint(error))


def show(message: str, hint: str = "") -> None:
    """Shows what happened, and in a second line what to do."""
    console = stderr()
    console.print(Text(f"error: {harmless(message)}", "red"), soft_wrap=True)
    if hint:
        console.print(Text(hint, "dim"), soft_wrap=True)


def _hint(error: errors.CorralError) -> str:
    hint = next((HINTS[kind] for kind in type(error).__mro__ if kind in HINTS), "")
    if error.retry_after_s is not None:
        hint = f"{hint} (the server suggests {error.retry_after_s:g} s)"
    if error.request_id:
        hint = f"{hint} (request {error.request_id})"
    return hint.strip()
