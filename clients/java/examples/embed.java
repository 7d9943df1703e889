// Find which of five sentences is nearest to a sixth.

import dev.corral.Corral;
import dev.corral.v1.Capability;
import dev.corral.v1.DemoSource;
import dev.corral.v1.EmbedInput;
import dev.corral.v1.EmbedRequest;
import dev.corral.v1.Embedding;
import dev.corral.v1.LoadModelRequest;
import dev.corral.v1.ModelSource;
import dev.corral.v1.UnloadModelRequest;
import java.util.Comparator;
import java.util.List;

class embed {
    static final List<String> SENTENCES = List.of(
        "A dog sleeps on the warm stones.", // the one that is compared with the others
        "The restaurant opens at noon.",
        "The train to Rome leaves at nine.",
        "A cat sleeps on the warm stones.",
        "Integers are closed under addition.",
        "It will rain in the afternoon.");

    public static void main(String[] arguments) {
        var request = EmbedRequest.newBuilder().setModel("embedder");
        for (var sentence : SENTENCES) {
            request.addInputs(EmbedInput.newBuilder().setText(sentence));
        }
        List<Embedding> embeddings;
        try (var client = Corral.connect()) {
            var load = LoadModelRequest.newBuilder()
                .setId("embedder")
                .setSource(ModelSource.newBuilder().setDemo(DemoSource.getDefaultInstance()))
                .addCapabilities(Capability.CAPABILITY_EMBED);
            client.load(load.build(), progress -> {});
            embeddings = client.embed(request.build()).getEmbeddingsList();
            client.unload(UnloadModelRequest.newBuilder().setId("embedder").build());
        }

        var first = embeddings.get(0);
        System.out.println(SENTENCES.get(0));
        embeddings.stream().skip(1)
            .sorted(Comparator.comparing(other -> -likeness(first, other)))
            .forEach(other -> System.out.printf(
                "%.2f %s%n", likeness(first, other), SENTENCES.get(other.getIndex())));
    }

    /** The cosine of the angle between two vectors of length 1. */
    static float likeness(Embedding one, Embedding other) {
        float sum = 0;
        for (int i = 0; i < one.getValuesCount(); i++) {
            sum += one.getValues(i) * other.getValues(i);
        }
        return sum;
    }
}
