"""A real gRPC server on a free port that answers by script: no models, no engine."""

import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from corral import assistant
from corral.v1 import (
    embedding_pb2,
    model_pb2,
    sampling_pb2,
    server_pb2,
    tokenization_pb2,
    usage_pb2,
)
from corral.v1 import inference_pb2 as inf
from corral.v1 import model_manager_pb2 as mm

# An answer to a call: takes the request and the call, returns a message, or several for a stream.
Answer: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]

MODEL = model_pb2.Model(
    id="demo",
    state=model_pb2.MODEL_STATE_READY,
    is_default=True,
    source=model_pb2.ModelSource(demo=model_pb2.DemoSource()),
    capabilities=[model_pb2.CAPABILITY_GENERATE, model_pb2.CAPABILITY_CHAT],
    facts=model_pb2.ModelFacts(
        architecture="llama",
        file_bytes=4_200_000,
        context_size=2048,
        slots=8,
        memory_bytes=61_000_000,
    ),
    mode=model_pb2.MODE_SERVER,
    loaded_at=Timestamp(seconds=1_700_000_000),
    active_requests=3,
    running_requests=2,
    waiting_requests=1,
    memory=[
        model_pb2.DeviceFootprint(
            device="RAM",
            reserved_bytes=70_000_000,
            weights_bytes=4_200_000,
            cache_bytes=50_000_000,
            compute_bytes=15_800_000,
            measured_bytes=61_000_000,
        )
    ],
)
FAILED = model_pb2.Model(
    id="torn",
    state=model_pb2.MODEL_STATE_FAILED,
    error=model_pb2.ModelError(reason="MODEL_FILE_INVALID", message="cut short"),
)
MEMORY = mm.GetMemoryResponse(
    devices=[
        mm.DeviceMemory(
            device="RAM",
            description="the machine's memory",
            total_bytes=16e9,
            free_bytes=9e9,
            budget_bytes=8e9,
            reserved_bytes=70e6,
            measured_bytes=61e6,
        ),
        mm.DeviceMemory(device="CUDA0", total_bytes=24e9, free_bytes=20e9),
    ],
    models=[mm.ModelMemory(id="demo", devices=MODEL.memory)],
)
PREDICTION = mm.PredictMemoryResponse(devices=MODEL.memory, fits=True, facts=MODEL.facts)
REPOS = [
    mm.HubRepo(
        repo="ann/small-GGUF",
        downloads=12345,
        likes=6,
        gated=True,
        updated_at=Timestamp(seconds=1_700_000_000),
    ),
    mm.HubRepo(repo="bob/large-GGUF", downloads=1),
]
FILES = [
    mm.HubFile(file="small-q8_0.gguf", size_bytes=8e8, quantization="Q8_0", shards=1),
    mm.HubFile(file="f16/small-00001-of-00002.gguf", size_bytes=2e9, quantization="F16", shards=2),
]
PULLED = mm.PulledModel(path="/cache/small.gguf", size_bytes=8e8, commit="0123456789abcdef")
LOADS = [
    server_pb2.ModelLoad(
        model="demo",
        slots=8,
        running=3,
        waiting=2,
        max_waiting=256,
        cells=2048,
        cells_used=1000,
        cells_cached=500,
        completion_tokens_per_second=99.44,
        prompt_tokens_per_second=1234.5,
        prompt_cached_ratio=0.75,
        estimated_wait=Duration(seconds=1, nanos=500_000_000),
    ),
    server_pb2.ModelLoad(model="idle", slots=4, max_waiting=8, cells=512),
]
VECTORS = [[0.5, -1.0, 0.25], [1.0, 0.0, 0.0], [0.0, 1.0, 0.125]]
STARTED = inf.Started(
    request_id="r1",
    model="demo",
    prompt_tokens=5,
    sampling=sampling_pb2.SamplingParams(seed=7),
)
FINISHED = inf.Finished(
    reason=usage_pb2.FINISH_REASON_EOS,
    usage=usage_pb2.Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7),
    timings=usage_pb2.Timings(
        decode_tokens_per_second=123.4, time_to_first_token=Duration(nanos=20_000_000)
    ),
)
TOKENS = [
    tokenization_pb2.Token(id=11, piece=b"Hello"),
    tokenization_pb2.Token(id=12, piece=b" w\xc3"),
]


def stream_of(*texts: str) -> Answer:
    """Answers GenerateStream or ChatStream with these deltas."""

    def answer(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        event = _event_type(request)
        yield event(started=STARTED)
        for count, text in enumerate(texts, 1):
            yield event(delta=inf.Delta(text=text, completion_tokens=count))
        yield event(finished=FINISHED)

    return answer


def _event_type(request: Message) -> Any:
    if isinstance(request, inf.ChatStreamRequest):
        return inf.ChatStreamResponse
    return inf.GenerateStreamResponse


def embeddings(request: Any) -> list[embedding_pb2.Embedding]:
    """VECTORS, again from the first after the last, as the request wants them."""
    packs = request.encoding == embedding_pb2.EMBEDDING_ENCODING_FLOAT32_LE
    found = []
    for index, vector in zip(range(len(request.inputs)), cycle(VECTORS), strict=False):
        numbers = struct.pack("<3f", *vector) if packs else b""
        values = [] if packs else vector
        found.append(embedding_pb2.Embedding(index=index, tokens=2, packed=numbers, values=values))
    return found


def changes(*events: Any, after: int = 0, instance: str = "i1") -> list[mm.WatchModelsResponse]:
    """Messages of WatchModels: these snapshots, models, removals and so on."""
    arms = {type(getattr(_NO_CHANGE, field.name)): field.name for field in _EVENT.fields}
    return [
        mm.WatchModelsResponse(
            sequence=sequence, instance_id=instance, **{arms[type(event)]: event}
        )
        for sequence, event in enumerate(events, after + 1)
    ]


_NO_CHANGE = mm.WatchModelsResponse()
_EVENT = _NO_CHANGE.DESCRIPTOR.oneofs_by_name["event"]


def refusal(code: grpc.StatusCode, message: str, *details: Message) -> Answer:
    """Refuses a call with a rich status, as the server does."""

    def answer(request: Message, context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return answer


OVER = refusal(grpc.StatusCode.ABORTED, "over")


def messages_then(messages: Iterable[Message], end: Answer) -> Answer:
    """Answers with these messages and then with `end`, a refusal."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        yield from messages
        end(request, context)

    return answer


def reason(name: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    """The detail every refusal of a Corral server has."""
    return error_details_pb2.ErrorInfo(reason=name, domain="corral", metadata=metadata)


class ScriptedServer:
    """What the server will answer and what it was asked. `answers` are by the call's name."""

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[Any] = []
        self.cancelled = threading.Event()  # a caller has gone before `stall` was over
        self.answers: dict[str, Answer] = {
            "LoadModel": self._load,
            "UnloadModel": lambda request, _: mm.UnloadModelResponse(remaining_ids=["a", "b"]),
            "ListModels": lambda request, _: mm.ListModelsResponse(models=[MODEL, FAILED]),
            "GetModel": lambda request, _: mm.GetModelResponse(model=MODEL),
            "SetDefaultModel": lambda request, _: mm.SetDefaultModelResponse(model=MODEL),
            "GetDefaultModel": lambda request, _: mm.GetDefaultModelResponse(model=MODEL),
            "ResolveModel": lambda request, _: mm.ResolveModelResponse(
                model=MODEL, reason=mm.RESOLVE_REASON_ALIAS
            ),
            "WatchModels": messages_then(
                changes(mm.ModelsSnapshot(models=[MODEL, FAILED]), mm.ModelRemoved(id="torn")), OVER
            ),
            "GetMemory": lambda request, _: MEMORY,
            "PredictMemory": lambda request, _: PREDICTION,
            "PullModel": self._pull,
            "SearchHub": lambda request, _: mm.SearchHubResponse(repos=REPOS),
            "ListHubFiles": lambda request, _: mm.ListHubFilesResponse(files=FILES),
            "Embed": lambda request, _: inf.EmbedResponse(
                request_id="r1",
                model="demo",
                embeddings=embeddings(request),
                usage=usage_pb2.Usage(prompt_tokens=6),
            ),
            "EmbedStream": self._embed_stream,
            "Generate": lambda request, _: inf.GenerateResponse(
                request_id="r1", model="demo", text="Hello world", finished=FINISHED, tokens=TOKENS
            ),
            "GenerateStream": stream_of("Hello", " world"),
            "Chat": lambda request, _: inf.ChatResponse(
                request_id="r1", model="demo", message=assistant("Hello you"), finished=FINISHED
            ),
            "ChatStream": stream_of("Hello", " you"),
            "Tokenize": lambda request, _: inf.TokenizeResponse(model="demo", tokens=TOKENS),
            "Detokenize": lambda request, _: inf.DetokenizeResponse(text="Hello", raw=b"Hello"),
            "CountTokens": lambda request, _: inf.CountTokensResponse(tokens=2),
            "GetServerInfo": lambda request, _: server_pb2.GetServerInfoResponse(
                version="0.1.0",
                api_versions=["corral.v1"],
                started_at=Timestamp(seconds=1_700_000_000),
                max_request_bytes=8_000_000,
            ),
            "GetLoad": lambda request, _: server_pb2.GetLoadResponse(models=LOADS),
        }

    def _load(
        self, request: mm.LoadModelRequest, context: grpc.ServicerContext
    ) -> Iterator[mm.LoadModelResponse]:
        for stage in (mm.LOAD_STAGE_PROBING, mm.LOAD_STAGE_LOADING, mm.LOAD_STAGE_WARMING):
            for fraction in (0.5, 1.0):
                yield mm.LoadModelResponse(progress=mm.LoadProgress(stage=stage, fraction=fraction))
        yield mm.LoadModelResponse(model=MODEL)

    def _pull(
        self, request: mm.PullModelRequest, context: grpc.ServicerContext
    ) -> Iterator[mm.PullModelResponse]:
        for done in (2e8, 8e8):
            yield mm.PullModelResponse(
                progress=mm.PullProgress(file="small.gguf", done_bytes=done, total_bytes=8e8)
            )
        yield mm.PullModelResponse(pulled=PULLED)

    def _embed_stream(
        self, request: inf.EmbedStreamRequest, context: grpc.ServicerContext
    ) -> Iterator[inf.EmbedStreamResponse]:
        first, *rest = embeddings(request)
        yield inf.EmbedStreamResponse(request_id="r1", model="demo", embeddings=[first])
        yield inf.EmbedStreamResponse(embeddings=rest, usage=usage_pb2.Usage(prompt_tokens=6))

    def stall(self, *texts: str) -> Answer:
        """Answers with these deltas and then nothing, until the caller is gone."""

        def answer(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            context.add_callback(self.cancelled.set)
            event = _event_type(request)
            yield event(started=STARTED)
            for text in texts:
                yield event(delta=inf.Delta(text=text))
            self.cancelled.wait(timeout=10)

        return answer

    def send_and_stall(self, messages: Iterable[Message]) -> Answer:
        """Answers with these messages and then nothing, until the caller is gone."""

        def answer(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            context.add_callback(self.cancelled.set)
            yield from messages
            self.cancelled.wait(timeout=10)

        return answer

    def fail_first(self, times: int, name: str, failure: Answer) -> None:
        """Lets the first `times` calls of this name fail and answers the others as before."""
        success = self.answers[name]
        left = iter(range(times))

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            return (success if next(left, None) is None else failure)(request, context)

        self.answers[name] = answer

    def handlers(self, service: ServiceDescriptor) -> grpc.GenericRpcHandler:
        """The service, each call answered by `answers`."""
        methods = {method.name: self._handler(method) for method in service.methods}
        return grpc.method_handlers_generic_handler(service.full_name, methods)

    def _handler(self, method: MethodDescriptor) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.requests.append(request)
            return self.answers[method.name](request, context)

        kind = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return kind(
            answer,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )


SERVICES: Mapping[str, ServiceDescriptor] = {
    **mm.DESCRIPTOR.services_by_name,
    **inf.DESCRIPTOR.services_by_name,
    **server_pb2.DESCRIPTOR.services_by_name,
}


@contextmanager
def run_scripted_server(address: str = "127.0.0.1:0") -> Iterator[ScriptedServer]:
    """A ScriptedServer that listens at its `address` while the block lasts."""
    script = ScriptedServer()
    with ThreadPoolExecutor(max_workers=4) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([script.handlers(each) for each in SERVICES.values()])
        script.address = f"127.0.0.1:{server.add_insecure_port(address)}"
        server.start()
        try:
            yield script
        finally:
            stopped = server.stop(grace=None)
            script.cancelled.set()
            stopped.wait()
