import dev.corral.Corral;
import dev.corral.v1.GenerateStreamRequest;
import dev.corral.v1.InferenceGrpc;
import dev.corral.v1.InferenceGrpc.InferenceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/** What the client costs: 10,000 deltas through it and through the stub. */
final class Overhead extends Case {
    private static final int DELTAS = 10_000;
    private static final int TIMES = 5;
    private static final GenerateStreamRequest REQUEST =
        GenerateStreamRequest.newBuilder().setPrompt("a").setMaxTokens(DELTAS).build();

    /** Seconds of each run, as JSON; the first of each kind is not counted. */
    static String measure() {
        var address = System.getenv("CORRAL_FLOOD_ADDRESS");
        var channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
        try (var client = Corral.connect(address, InsecureChannelCredentials.create(), null)) {
            var stub = InferenceGrpc.newBlockingStub(channel);
            List<Double> wrapper = new ArrayList<>();
            List<Double> raw = new ArrayList<>();
            for (int time = 0; time <= TIMES; time++) {
                wrapper.add(seconds(() -> throughWrapper(client.withDeadlineAfter(TIMEOUT))));
                raw.add(seconds(() -> throughStub(
                    stub.withDeadlineAfter(TIMEOUT.toSeconds(), TimeUnit.SECONDS))));
            }
            return "{\"wrapper_s\": %s, \"raw_s\": %s}".formatted(
                wrapper.subList(1, TIMES + 1), raw.subList(1, TIMES + 1));
        } finally {
            channel.shutdownNow();
        }
    }

    private static double seconds(IntSupplier read) {
        var began = System.nanoTime();
        equal(read.getAsInt(), DELTAS * " word".length(), "length");
        return secondsSince(began);
    }

    private static int throughWrapper(Corral client) {
        int length = 0;
        for (var event : client.generateStream(REQUEST)) {
            length += event.hasDelta() ? event.getDelta().getText().length() : 0;
        }
        return length;
    }

    private static int throughStub(InferenceBlockingStub stub) {
        int length = 0;
        for (var events = stub.generateStream(REQUEST); events.hasNext(); ) {
            var event = events.next();
            length += event.hasDelta() ? event.getDelta().getText().length() : 0;
        }
        return length;
    }

    private Overhead() {}
}
