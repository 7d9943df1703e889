import com.google.protobuf.Message;
import dev.corral.Corral;
import dev.corral.v1.*;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;

/** The cases with a server that is newer, fails for a while, wants a token, or changes. */
final class Meetings extends Case {
    static final Map<String, Callable<String>> CASES = new LinkedHashMap<>();

    static {
        CASES.put("unknown_enum_value", Meetings::unknownEnumValue);
        CASES.put("unknown_oneof_arm", Meetings::unknownOneofArm);
        CASES.put("retry_honours_retry_info", Meetings::retryHonoursRetryInfo);
        CASES.put("no_retry_where_unsafe", Meetings::noRetryWhereUnsafe);
        CASES.put("tls_and_token", Meetings::tlsAndToken);
        CASES.put("token_refused", Meetings::tokenRefused);
        CASES.put("model_lifecycle", Meetings::modelLifecycle);
        CASES.put("golden_bytes", Meetings::goldenBytes);
    }

    private static final int UNKNOWN = 99;

    private static GenerateRequest.Builder ask(String model) {
        return GenerateRequest.newBuilder()
            .setPrompt("a").setModel(model).setRequestId(freshId());
    }

    private static GenerateStreamRequest.Builder askStream(String model) {
        return GenerateStreamRequest.newBuilder()
            .setPrompt("a").setModel(model).setRequestId(freshId());
    }

    private static String unknownEnumValue() {
        try (var client = future()) {
            var answer = client.generate(ask("").build());
            equal(answer.getText(), "from the future", "text");
            equal(answer.getFinished().getReason(), FinishReason.UNRECOGNIZED, "reason");
            equal(answer.getFinished().getReasonValue(), UNKNOWN, "number of the reason");
            var model = listed(client, "future");
            equal(model.getState(), ModelState.UNRECOGNIZED, "state");
            equal(model.getStateValue(), UNKNOWN, "number of the state");
            equal(model.getCapabilitiesList().subList(0, 2),
                List.of(Capability.CAPABILITY_GENERATE, Capability.CAPABILITY_CHAT),
                "capabilities");
            var failure = refused(
                () -> client.chat(ChatRequest.newBuilder().addMessages(user("a")).build()));
            has(failure, "FAILED_PRECONDITION", "SOMETHING_NEW", "answer", "42");
            equal(failure.getMessage(), "not yet invented", "message");
            return "reason " + answer.getFinished().getReason();
        }
    }

    private static String unknownOneofArm() {
        try (var client = future()) {
            var events = new ArrayList<GenerateStreamResponse>();
            client.generateStream(askStream("").build()).forEach(events::add);
            equal(joined(events), "from the future", "text");
            expect(events.get(events.size() - 1).hasFinished(), "finished at the end", events);
            var load = LoadModelRequest.newBuilder().setId("future").setSource(DEMO).build();
            var steps = new ArrayList<LoadProgress>();
            equal(client.load(load, steps::add).getId(), "future", "model");
            equal(steps.size(), 3, "steps of progress");
            var changes = new ArrayList<WatchModelsResponse>();
            client.watch(WatchModelsRequest.getDefaultInstance()).forEach(changes::add);
            equal(changes.size(), 3, "changes");
            equal(changes.get(0).getSnapshot().getModels(0).getId(), "future", "snapshot");
            equal(changes.get(1).getEventCase().getNumber(), 0, "arm");
            equal(changes.get(2).getRemoved().getId(), "future", "removed");
            return "passed over";
        }
    }

    private static String retryHonoursRetryInfo() {
        try (var client = flaky()) {
            var unary = secondsOfThird(
                () -> client.generate(ask("unavailable-twice").build()).getText());
            var stream = secondsOfThird(
                () -> joined(client.generateStream(askStream("unavailable-twice").build())));
            var failure = refused(() -> client.generate(ask("unavailable-always").build()));
            has(failure, "UNAVAILABLE", "ENGINE_RESTARTING", "attempt", "4");
            equal(failure.retryDelay, Duration.ofMillis(50), "retry delay");
            return "after %.2f s and %.2f s".formatted(unary, stream);
        }
    }

    /** How long the call takes that succeeds at the third attempt. */
    private static double secondsOfThird(Supplier<String> call) {
        var began = System.nanoTime();
        equal(call.get(), "attempt 3", "text");
        var took = secondsSince(began);
        expect(0.45 <= took && took <= 10, "0.45 s to 10 s", took);
        return took;
    }

    private static String noRetryWhereUnsafe() {
        try (var client = flaky()) {
            var texts = new StringBuilder();
            var failure = refused(() -> client.generateStream(askStream("fails-midway").build())
                .forEach(event -> texts.append(event.getDelta().getText())));
            equal(texts.toString(), "half", "deltas");
            has(failure, "UNAVAILABLE", "ENGINE_RESTARTING", "attempt", "1");
            failure = refused(() -> client.generate(ask("hub-unavailable").build()));
            has(failure, "UNAVAILABLE", "HUB_UNAVAILABLE", "attempt", "1");
            equal(failure.retryDelay, Duration.ofMillis(50), "retry delay");
            return "one attempt each";
        }
    }

    private static String tlsAndToken() throws IOException {
        try (var client = secure(System.getenv("CORRAL_TLS_TOKEN"))) {
            var text = client.generate(GenerateRequest.newBuilder()
                .setPrompt(LAMB).setMaxTokens(4).setSampling(GREEDY).build()).getText();
            expect(text.startsWith(" small"), "a small lamb", text);
            var streamed = joined(client.generateStream(GenerateStreamRequest.newBuilder()
                .setPrompt(LAMB).setMaxTokens(4).setSampling(GREEDY).build()));
            equal(streamed, text, "text of the stream");
            return text;
        }
    }

    private static String tokenRefused() throws IOException {
        try (var nobody = secure(null); var stranger = secure("wrong")) {
            var request = GenerateRequest.newBuilder().setPrompt(LAMB).build();
            var streamed = GenerateStreamRequest.newBuilder().setPrompt(LAMB).build();
            for (Runnable call : List.<Runnable>of(
                    () -> nobody.generate(request),
                    () -> stranger.generate(request),
                    () -> joined(stranger.generateStream(streamed)))) {
                var failure = refused(call);
                has(failure, "UNAUTHENTICATED", "UNAUTHENTICATED");
                var message = failure.getMessage();
                expect(!message.contains("wrong")
                    && !message.contains(System.getenv("CORRAL_TLS_TOKEN")), "no token", message);
            }
            return "three calls refused";
        }
    }

    private static String modelLifecycle() {
        try (var client = plain();
                var changes = client.watch(WatchModelsRequest.getDefaultInstance())) {
            var ids = changes.next().getSnapshot().getModelsList().stream()
                .map(Model::getId).toList();
            expect(ids.containsAll(List.of("demo", "text")), "demo and text", ids);
            var steps = liveOnce(client);
            var wasReady = false;
            for (var change : changes) {
                wasReady |= change.getChanged().getId().equals("second")
                    && change.getChanged().getState() == ModelState.MODEL_STATE_READY;
                if (change.getRemoved().getId().equals("second")) {
                    break;
                }
            }
            expect(wasReady, "second ready before it was removed", wasReady);
            var request = GenerateRequest.newBuilder().setPrompt("Hi").setModel("second").build();
            var failure = refused(() -> client.generate(request));
            has(failure, "NOT_FOUND", "MODEL_NOT_FOUND", "model", "second");
            return steps + " steps of progress";
        }
    }

    /** Loads second, uses and unloads it, and returns how many steps the load had. */
    private static int liveOnce(Corral client) {
        var steps = new ArrayList<LoadProgress>();
        var second = client.load(
            LoadModelRequest.newBuilder().setId("second").setSource(DEMO).addAliases("spare")
                .setOptions(LoadOptions.newBuilder().setSlots(2)).build(),
            steps::add);
        var stages = steps.stream().map(LoadProgress::getStage).distinct().toList();
        equal(stages, List.of(LoadStage.LOAD_STAGE_PROBING, LoadStage.LOAD_STAGE_LOADING,
            LoadStage.LOAD_STAGE_WARMING), "stages");
        expect(steps.stream().allMatch(step -> 0 <= step.getFraction() && step.getFraction() <= 1),
            "fractions of 1", steps);
        equal(second.getState(), ModelState.MODEL_STATE_READY, "state");
        equal(second.getFacts().getSlots(), 2, "slots");
        expect(listed(client, "second") != null, "it in the list", null);
        var answer = client.generate(GenerateRequest.newBuilder()
            .setPrompt("Hi").setModel("spare").setMaxTokens(4).build());
        equal(answer.getModel(), "second", "model of the answer");
        var left = client.unload(UnloadModelRequest.newBuilder().setId("second").build())
            .getRemainingIdsList();
        expect(left.containsAll(List.of("demo", "text")), "demo and text left", left);
        expect(!left.contains("second"), "second gone", left);
        return steps.size();
    }

    private static String goldenBytes() throws Exception {
        List<Path> paths;
        try (var found = Files.newDirectoryStream(
                Path.of(System.getenv("CORRAL_GOLDEN")), "*.binpb")) {
            paths = new ArrayList<>();
            found.forEach(paths::add);
        }
        expect(paths.size() >= 60, "at least 60 files", paths.size());
        for (var path : paths) {
            var name = path.getFileName().toString().split("\\.")[2];
            var raw = Files.readAllBytes(path);
            var message = (Message) Class.forName("dev.corral.v1." + name)
                .getMethod("parseFrom", byte[].class).invoke(null, (Object) raw);
            expect(Arrays.equals(message.toByteArray(), raw), "the same bytes", path);
        }
        return paths.size() + " files";
    }

    private Meetings() {}
}
