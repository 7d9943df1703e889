import dev.corral.Corral;
import dev.corral.CorralException;
import dev.corral.v1.DemoSource;
import dev.corral.v1.GenerateStreamResponse;
import dev.corral.v1.Message;
import dev.corral.v1.Model;
import dev.corral.v1.ModelSource;
import dev.corral.v1.Role;
import dev.corral.v1.SamplingParams;
import dev.corral.v1.StopParams;
import io.grpc.InsecureChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;

/** What the cases have in common. */
abstract class Case {
    static final String LAMB = "Once upon a time, there was a";
    static final Duration TIMEOUT = Duration.ofSeconds(20);
    static final Duration PATIENCE = Duration.ofSeconds(5);

    static final SamplingParams GREEDY = SamplingParams.newBuilder().setTemperature(0).build();
    /** For answers that are stopped from outside. */
    static final StopParams ENDLESS = StopParams.newBuilder().setIgnoreEos(true).build();
    static final ModelSource DEMO =
        ModelSource.newBuilder().setDemo(DemoSource.getDefaultInstance()).build();

    /** Throws unless what is expected was met. */
    static void expect(boolean met, String what, Object seen) {
        if (!met) {
            throw new AssertionError("expected %s, saw %s".formatted(what, seen));
        }
    }

    static void equal(Object seen, Object wanted, String what) {
        expect(Objects.equals(seen, wanted), what + " " + wanted, seen);
    }

    static Corral plain() {
        return connect("CORRAL_ADDRESS");
    }

    static Corral future() {
        return connect("CORRAL_FUTURE_ADDRESS");
    }

    static Corral flaky() {
        return connect("CORRAL_FLAKY_ADDRESS");
    }

    static Corral connect(String variable) {
        return Corral.connect(System.getenv(variable), InsecureChannelCredentials.create(), null)
            .withDeadlineAfter(TIMEOUT);
    }

    static Corral secure(String token) throws IOException {
        var ca = new File(System.getenv("CORRAL_TLS_CA"));
        return Corral.connect(System.getenv("CORRAL_TLS_ADDRESS"), ca, token)
            .withDeadlineAfter(TIMEOUT);
    }

    /** A request_id nobody had. */
    static String freshId() {
        return "case-" + UUID.randomUUID();
    }

    /** How the call fails. */
    static CorralException refused(Runnable call) {
        try {
            call.run();
        } catch (CorralException failure) {
            return failure;
        }
        throw new AssertionError("expected the call to fail");
    }

    /** Throws if the call failed otherwise; metadata are pairs of key and value. */
    static void has(CorralException failure, String code, String reason, String... metadata) {
        equal(failure.code + " " + failure.reason, code + " " + reason, "code and reason");
        for (int i = 0; i < metadata.length; i += 2) {
            equal(failure.metadata.get(metadata[i]), metadata[i + 1], metadata[i]);
        }
    }

    static Message user(String content) {
        return Message.newBuilder().setRole(Role.ROLE_USER).setContent(content).build();
    }

    static String joined(Iterable<GenerateStreamResponse> events) {
        var text = new StringBuilder();
        for (var event : events) {
            text.append(event.getDelta().getText());
        }
        return text.toString();
    }

    /** The model of this id; null if there is none. */
    static Model listed(Corral client, String id) {
        return client.list().getModelsList().stream()
            .filter(model -> model.getId().equals(id)).findFirst().orElse(null);
    }

    /** Waits until demo computes nothing. */
    static void pollUntilIdle(Corral client) throws InterruptedException {
        var end = System.nanoTime() + PATIENCE.toNanos();
        while (listed(client, "demo").getRunningRequests() > 0) {
            expect(System.nanoTime() < end, "a free slot", "none");
            Thread.sleep(20);
        }
    }

    static double secondsSince(long began) {
        return (System.nanoTime() - began) / 1e9;
    }
}
