import static java.util.stream.Collectors.joining;

import com.google.rpc.BadRequest.FieldViolation;
import dev.corral.v1.*;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;

/** The cases that a server of today refuses. */
final class Failures extends Case {
    static final Map<String, Callable<String>> CASES = new LinkedHashMap<>();

    static {
        CASES.put("deadline", Failures::deadline);
        CASES.put("prompt_of_one_megabyte", Failures::promptOfOneMegabyte);
        CASES.put("error_invalid_field", Failures::errorInvalidField);
        CASES.put("error_model_not_found", Failures::errorModelNotFound);
        CASES.put("error_capability_not_supported", Failures::errorCapabilityNotSupported);
        CASES.put("error_load_conflict", Failures::errorLoadConflict);
        CASES.put("error_model_file_not_found", Failures::errorModelFileNotFound);
        CASES.put("error_queue_full", Failures::errorQueueFull);
    }

    private static final int MEGABYTE = 1 << 20;

    private static String deadline() throws InterruptedException {
        var request = GenerateRequest.newBuilder()
            .setPrompt(LAMB).setMaxTokens(2000).setSampling(GREEDY).setStop(ENDLESS).build();
        try (var client = plain()) {
            var began = System.nanoTime();
            var failure = refused(
                () -> client.withDeadlineAfter(Duration.ofMillis(300)).generate(request));
            var took = secondsSince(began);
            equal(failure.code.toString(), "DEADLINE_EXCEEDED", "code");
            expect(0.2 <= took && took <= 3, "0.2 s to 3 s", took);
            pollUntilIdle(client);
            return "after %.2f s".formatted(took);
        }
    }

    private static String promptOfOneMegabyte() {
        var prompt = "corral ".repeat(MEGABYTE / 7 + 1).substring(0, MEGABYTE);
        try (var client = plain()) {
            var counted = client.call(InferenceGrpc.getCountTokensMethod(),
                CountTokensRequest.newBuilder().setPrompt(prompt).build()).getTokens();
            expect(counted > 100_000, "more than 100,000 tokens", counted);
            var failure = refused(() -> client.generate(
                GenerateRequest.newBuilder().setPrompt(prompt).setSampling(GREEDY).build()));
            has(failure, "INVALID_ARGUMENT", "CONTEXT_LENGTH_EXCEEDED",
                "prompt_tokens", String.valueOf(counted), "limit", "2047");
            return counted + " tokens";
        }
    }

    private static String errorInvalidField() {
        var request = GenerateRequest.newBuilder().setPrompt("a").setMaxTokens(0)
            .setSampling(SamplingParams.newBuilder().setTemperature(-1).setTopP(3)).build();
        try (var client = plain()) {
            var failure = refused(() -> client.generate(request));
            has(failure, "INVALID_ARGUMENT", "INVALID_FIELD");
            var fields = failure.violations.stream()
                .map(FieldViolation::getField).sorted().collect(joining("; "));
            equal(fields, "max_tokens; sampling.temperature; sampling.top_p", "fields");
            expect(failure.violations.stream().noneMatch(bad -> bad.getDescription().isEmpty()),
                "why", failure.violations);
            return fields;
        }
    }

    private static String errorModelNotFound() {
        try (var client = plain()) {
            var failure = refused(() -> client.generate(
                GenerateRequest.newBuilder().setPrompt("a").setModel("nobody").build()));
            has(failure, "NOT_FOUND", "MODEL_NOT_FOUND", "model", "nobody");
            equal(failure.model, "nobody", "model");
            expect(failure.getMessage().contains("nobody"), "the name", failure.getMessage());
            return failure.getMessage();
        }
    }

    private static String errorCapabilityNotSupported() {
        var input = EmbedInput.newBuilder().setText("a");
        try (var client = plain()) {
            var failure = refused(() -> client.embed(
                EmbedRequest.newBuilder().addInputs(input).setModel("text").build()));
            has(failure, "FAILED_PRECONDITION", "CAPABILITY_NOT_SUPPORTED",
                "model", "text", "capability", "EMBED");
            return failure.getMessage();
        }
    }

    private static String errorLoadConflict() {
        var request = LoadModelRequest.newBuilder().setId("text").setSource(DEMO)
            .setOptions(LoadOptions.newBuilder().setSlots(3)).build();
        try (var client = plain()) {
            var failure = refused(() -> client.load(request, progress -> {}));
            has(failure, "ALREADY_EXISTS", "LOAD_CONFLICT", "model", "text");
            return failure.getMessage();
        }
    }

    private static String errorModelFileNotFound() {
        var request = LoadModelRequest.newBuilder().setId("gone")
            .setSource(ModelSource.newBuilder().setPath("/nonexistent/corral.gguf")).build();
        try (var client = plain()) {
            var failure = refused(() -> client.load(request, progress -> {}));
            var gone = listed(client, "gone");
            client.unload(UnloadModelRequest.newBuilder().setId("gone").build());
            has(failure, "NOT_FOUND", "MODEL_FILE_NOT_FOUND");
            equal(gone.getState(), ModelState.MODEL_STATE_FAILED, "state");
            equal(gone.getError().getReason(), "MODEL_FILE_NOT_FOUND", "reason in the list");
            return failure.getMessage();
        }
    }

    private static String errorQueueFull() {
        try (var client = flaky()) {
            var failure = refused(() -> client.generate(GenerateRequest.newBuilder()
                .setPrompt("a").setModel("queue-full").setRequestId(freshId()).build()));
            has(failure, "RESOURCE_EXHAUSTED", "QUEUE_FULL", "attempt", "1");
            equal(failure.retryDelay, Duration.ofMillis(1500), "retry delay");
            return "come back in " + failure.retryDelay;
        }
    }

    private Failures() {}
}
