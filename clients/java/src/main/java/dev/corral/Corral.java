package dev.corral;

import static java.util.concurrent.TimeUnit.*;

import dev.corral.v1.*;
import io.grpc.*;
import io.grpc.stub.*;
import java.io.*;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.*;

/** A connection to one server, for any number of threads. Failed calls throw CorralException. */
public final class Corral implements AutoCloseable {
    private final ManagedChannel channel;
    private final CallOptions options;

    private Corral(ManagedChannel channel, CallOptions options) {
        this.channel = channel;
        this.options = options;
    }

    /** Without TLS or token, to CORRAL_ADDRESS, else 127.0.0.1:50051. */
    public static Corral connect() {
        var address = System.getenv().getOrDefault("CORRAL_ADDRESS", "127.0.0.1:50051");
        return connect(address, InsecureChannelCredentials.create(), null);
    }

    /** With TLS, trusting the authority in a PEM file; with a bearer token unless it is null. */
    public static Corral connect(String address, File ca, String token) throws IOException {
        var trust = TlsChannelCredentials.newBuilder().trustManager(ca).build();
        return connect(address, trust, token);
    }

    /** With any credentials; with a bearer token unless it is null. */
    public static Corral connect(String address, ChannelCredentials credentials, String token) {
        var headers = new Metadata();
        if (token != null) {
            var key = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
            headers.put(key, "Bearer " + token);
        }
        var channel = Grpc.newChannelBuilder(address, credentials)
            .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
            .userAgent("corral-java/0.1.0")
            .maxInboundMessageSize(64 << 20)
            .keepAliveTime(30, SECONDS).keepAliveTimeout(10, SECONDS) // a long prompt is silent
            .proxyDetector(server -> null) // one set for the web is not meant for a model server
            .build();
        return new Corral(channel, CallOptions.DEFAULT);
    }

    /** The same connection, for calls that end before that much time has passed from now on. */
    public Corral withDeadlineAfter(Duration time) {
        return new Corral(channel, options.withDeadlineAfter(time.toNanos(), NANOSECONDS));
    }

    public GenerateResponse generate(GenerateRequest request) {
        return call(InferenceGrpc.getGenerateMethod(), request);
    }
    public Messages<GenerateStreamResponse> generateStream(GenerateStreamRequest request) {
        return stream(InferenceGrpc.getGenerateStreamMethod(), request);
    }
    public ChatResponse chat(ChatRequest request) {
        return call(InferenceGrpc.getChatMethod(), request);
    }
    public Messages<ChatStreamResponse> chatStream(ChatStreamRequest request) {
        return stream(InferenceGrpc.getChatStreamMethod(), request);
    }
    public EmbedResponse embed(EmbedRequest request) {
        return call(InferenceGrpc.getEmbedMethod(), request);
    }
    public ListModelsResponse list() {
        return call(ModelManagerGrpc.getListModelsMethod(), ListModelsRequest.getDefaultInstance());
    }
    public Messages<WatchModelsResponse> watch(WatchModelsRequest request) {
        return stream(ModelManagerGrpc.getWatchModelsMethod(), request);
    }
    public UnloadModelResponse unload(UnloadModelRequest request) {
        return call(ModelManagerGrpc.getUnloadModelMethod(), request);
    }

    /** Loads a model and tells how far that is. */
    public Model load(LoadModelRequest request, Consumer<LoadProgress> onProgress) {
        var model = Model.getDefaultInstance();
        for (var event : stream(ModelManagerGrpc.getLoadModelMethod(), request)) {
            if (event.hasProgress()) {
                onProgress.accept(event.getProgress());
            }
            model = event.getModel(); // the last one has it
        }
        return model;
    }

    /** Any call that answers with one message: call(ServerGrpc.getGetLoadMethod(), request). */
    public <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
        return attempt(4, options.getDeadline(),
            () -> ClientCalls.blockingUnaryCall(channel, method, options, request));
    }

    /** Any call that answers with a stream. */
    public <Q, A> Messages<A> stream(MethodDescriptor<Q, A> method, Q request) {
        return new Messages<>(options.getDeadline(),
            () -> ClientCalls.blockingServerStreamingCall(channel, method, options, request));
    }

    /** Makes again what the server did nothing with. The deadline may be null. */
    static <T> T attempt(int maxAttempts, Deadline deadline, Supplier<T> attempt) {
        for (int attempts = 1; ; attempts++) {
            try {
                return attempt.get();
            } catch (StatusRuntimeException status) {
                var failure = new CorralException(status);
                if (attempts == maxAttempts || !again(failure, deadline, attempts)) {
                    throw failure;
                }
            }
        }
    }

    /** Waits as long as the server asks for; the Hub is unavailable for longer than that. */
    private static boolean again(CorralException failure, Deadline deadline, int attempts) {
        var backoff = ThreadLocalRandom.current().nextLong(50, 150) << (attempts - 1);
        var pause = failure.retryDelay == null ? Duration.ofMillis(backoff) : failure.retryDelay;
        if (failure.code != Status.Code.UNAVAILABLE || failure.reason.equals("HUB_UNAVAILABLE")
                || deadline != null && deadline.timeRemaining(NANOSECONDS) <= pause.toNanos()) {
            return false;
        }
        try {
            NANOSECONDS.sleep(pause.toNanos());
            return true;
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    @Override
    public void close() {
        channel.shutdownNow();
    }
}
