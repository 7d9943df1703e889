import static java.util.stream.Collectors.joining;

import com.google.protobuf.ByteString;
import dev.corral.v1.*;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/** The cases that ask a model and are answered. */
final class Answers extends Case {
    static final Map<String, Callable<String>> CASES = new LinkedHashMap<>();

    static {
        CASES.put("generate", Answers::generate);
        CASES.put("generate_stream", Answers::generateStream);
        CASES.put("chat", Answers::chat);
        CASES.put("chat_stream", Answers::chatStream);
        CASES.put("tokenize", Answers::tokenize);
        CASES.put("embed", Answers::embed);
        CASES.put("embed_stream_1000", Answers::embedStream1000);
        CASES.put("utf8_split_over_tokens", Answers::utf8SplitOverTokens);
        CASES.put("cancel_mid_stream", Answers::cancelMidStream);
    }

    private static final String FRANCE = "What is the capital of France?";
    private static final String SUM = "What is 7 plus 5?";
    private static final String MIXED = "Hello, world! héllo 🐎";
    private static final String HORSE = "🐎";

    private static final GenerateRequest LAMB_REQUEST = GenerateRequest.newBuilder()
        .setPrompt(LAMB).setMaxTokens(24).setSampling(GREEDY).build();

    private static List<Integer> tokens(Usage usage) {
        return List.of(
            usage.getPromptTokens(), usage.getCompletionTokens(), usage.getTotalTokens());
    }

    private static String generate() {
        try (var client = plain()) {
            var answer = client.generate(LAMB_REQUEST);
            equal(answer.getModel(), "demo", "model");
            expect(answer.getText().startsWith(" small lamb named"), "a lamb", answer.getText());
            equal(answer.getFinished().getReason(), FinishReason.FINISH_REASON_LENGTH, "reason");
            equal(tokens(answer.getFinished().getUsage()), List.of(8, 24, 32), "usage");
            expect(!answer.getRequestId().isEmpty(), "a request_id", "none");
            return "24 tokens";
        }
    }

    private static String generateStream() {
        try (var client = plain()) {
            var whole = client.generate(LAMB_REQUEST);
            var events = new ArrayList<GenerateStreamResponse>();
            client.generateStream(GenerateStreamRequest.newBuilder()
                .setPrompt(LAMB).setMaxTokens(24).setSampling(GREEDY).build())
                .forEach(events::add);
            var started = events.get(0).getStarted();
            var deltas = events.subList(1, events.size() - 1);
            var finished = events.get(events.size() - 1).getFinished();
            equal(started.getModel(), "demo", "model");
            equal(started.getPromptTokens(), 8, "prompt_tokens");
            int tokens = 0;
            for (var event : deltas) {
                expect(event.hasDelta(), "deltas in the middle", event);
                var now = event.getDelta().getCompletionTokens();
                expect(now >= tokens, "completion_tokens that never fall", now);
                tokens = now;
            }
            equal(finished.getReason(), whole.getFinished().getReason(), "reason");
            equal(tokens(finished.getUsage()), tokens(whole.getFinished().getUsage()), "usage");
            equal(joined(deltas), whole.getText(), "text");
            return deltas.size() + " deltas";
        }
    }

    private static String chat() {
        try (var client = plain()) {
            var answer = client.chat(
                ChatRequest.newBuilder().addMessages(user(FRANCE)).setSampling(GREEDY).build());
            var text = answer.getMessage().getContent();
            equal(answer.getMessage().getRole(), Role.ROLE_ASSISTANT, "role");
            expect(text.contains("Paris"), "Paris", text);
            equal(answer.getFinished().getReason(), FinishReason.FINISH_REASON_EOS, "reason");
            return text;
        }
    }

    private static String chatStream() {
        try (var client = plain()) {
            var request = ChatStreamRequest.newBuilder().setSampling(GREEDY);
            var first = answer(client, request, FRANCE);
            expect(first.contains("Paris"), "Paris", first);
            var second = answer(client, request, SUM);
            expect(second.contains("12"), "12", second);
            return first + " " + second;
        }
    }

    /** The answer to the question, both appended to the request. */
    private static String answer(
            dev.corral.Corral client, ChatStreamRequest.Builder request, String question) {
        var text = new StringBuilder();
        var finished = Finished.getDefaultInstance();
        for (var event : client.chatStream(request.addMessages(user(question)).build())) {
            text.append(event.getDelta().getText());
            finished = event.getFinished(); // the last one has it
        }
        equal(finished.getReason(), FinishReason.FINISH_REASON_EOS, "reason");
        request.addMessages(
            Message.newBuilder().setRole(Role.ROLE_ASSISTANT).setContent(text.toString()));
        return text.toString();
    }

    private static String tokenize() {
        try (var client = plain()) {
            var tokens = client.call(InferenceGrpc.getTokenizeMethod(),
                TokenizeRequest.newBuilder().setText(MIXED).build()).getTokensList();
            equal(tokens.size(), 15, "tokens");
            var pieces = ByteString.copyFrom(tokens.stream().map(Token::getPiece).toList());
            equal(pieces.toStringUtf8(), MIXED, "pieces");
            var ids = DetokenizeRequest.newBuilder();
            tokens.forEach(token -> ids.addTokenIds(token.getId()));
            var text = client.call(InferenceGrpc.getDetokenizeMethod(), ids.build());
            equal(text.getText(), MIXED, "text");
            equal(text.getRaw(), pieces, "raw");
            var counted = client.call(InferenceGrpc.getCountTokensMethod(),
                CountTokensRequest.newBuilder().setPrompt(MIXED).build());
            equal(counted.getTokens(), 15, "count");
            equal(counted.getSequenceLimit(), 2048, "sequence_limit");
            var conversation = Conversation.newBuilder().addMessages(user(SUM));
            counted = client.call(InferenceGrpc.getCountTokensMethod(),
                CountTokensRequest.newBuilder().setConversation(conversation).build());
            equal(counted.getTokens(), 20, "count of a conversation");
            return "15 tokens";
        }
    }

    private static EmbedInput input(String text) {
        return EmbedInput.newBuilder().setText(text).build();
    }

    private static float[] values(Embedding embedding) {
        var vector = new float[embedding.getValuesCount()];
        for (int i = 0; i < vector.length; i++) {
            vector[i] = embedding.getValues(i);
        }
        return vector;
    }

    private static float[] unpacked(Embedding embedding) {
        var numbers = embedding.getPacked().asReadOnlyByteBuffer()
            .order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        var vector = new float[numbers.remaining()];
        numbers.get(vector);
        return vector;
    }

    private static double dot(float[] one, float[] other) {
        double sum = 0;
        for (int i = 0; i < one.length; i++) {
            sum += (double) one[i] * other[i];
        }
        return sum;
    }

    private static void expectUnit(float[] vector) {
        equal(vector.length, 256, "numbers");
        var length = Math.sqrt(dot(vector, vector));
        expect(Math.abs(length - 1) <= 0.001, "length 1", length);
    }

    private static String embed() {
        var request = EmbedRequest.newBuilder()
            .addInputs(input("A dog sleeps on the warm stones."))
            .addInputs(input("A cat sleeps on the warm stones."))
            .addInputs(input("Integers are closed under addition."));
        try (var client = plain()) {
            var plainly = client.embed(request
                .setEncoding(EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT).build());
            var packed = client.embed(request
                .setEncoding(EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE).build());
            equal(plainly.getEmbeddingsCount(), 3, "vectors");
            equal(packed.getEmbeddingsCount(), 3, "packed vectors");
            for (int i = 0; i < 3; i++) {
                equal(plainly.getEmbeddings(i).getIndex(), i, "index");
                equal(packed.getEmbeddings(i).getIndex(), i, "packed index");
                var numbers = values(plainly.getEmbeddings(i));
                var again = unpacked(packed.getEmbeddings(i));
                expectUnit(numbers);
                expectUnit(again);
                for (int j = 0; j < numbers.length; j++) {
                    var apart = Math.abs(numbers[j] - again[j]);
                    expect(apart <= 1e-6, "the same numbers in both encodings", apart);
                }
            }
            var dog = values(plainly.getEmbeddings(0));
            var near = dot(dog, values(plainly.getEmbeddings(1)));
            var far = dot(dog, values(plainly.getEmbeddings(2)));
            expect(near > 0.6 && 0.6 > far, "the cat nearer than integers", near + " " + far);
            return "%.2f and %.2f".formatted(near, far);
        }
    }

    private static String embedStream1000() {
        var request = EmbedStreamRequest.newBuilder()
            .setEncoding(EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE);
        for (int number = 0; number < 1000; number++) {
            request.addInputs(input("Sentence number %d.".formatted(number)));
        }
        try (var client = plain();
                var events = client.stream(InferenceGrpc.getEmbedStreamMethod(), request.build())) {
            int messages = 0;
            int vectors = 0;
            Usage usage = null;
            for (var event : events) {
                expect(usage == null, "usage in the last message only", usage);
                for (var embedding : event.getEmbeddingsList()) {
                    equal(embedding.getIndex(), vectors++, "index");
                    expectUnit(unpacked(embedding));
                }
                messages++;
                usage = event.hasUsage() ? event.getUsage() : null;
            }
            expect(messages > 1, "more than one message", messages);
            equal(vectors, 1000, "vectors");
            expect(usage != null && usage.getPromptTokens() > 1000, "usage", usage);
            return messages + " messages";
        }
    }

    private static String utf8SplitOverTokens() {
        var request = GenerateStreamRequest.newBuilder()
            .setPrompt("A horse: ").setMaxTokens(8)
            .setOutput(OutputOptions.newBuilder().setTokens(true))
            .setSampling(GREEDY.toBuilder().setFrequencyPenalty(100)
                .putLogitBias(172, 1000).putLogitBias(253, 975)
                .putLogitBias(238, 950).putLogitBias(236, 925));
        try (var client = plain()) {
            var pieces = new ArrayList<ByteString>();
            var texts = new ArrayList<String>();
            for (var event : client.generateStream(request.build())) {
                event.getDelta().getTokensList().forEach(token -> pieces.add(token.getPiece()));
                texts.add(event.getDelta().getText());
            }
            expect(pieces.stream().allMatch(piece -> piece.size() == 1), "a byte each", pieces);
            equal(ByteString.copyFrom(pieces).toStringUtf8(), HORSE + HORSE, "pieces");
            expect(texts.stream().allMatch(text -> text.replace(HORSE, "").isEmpty()),
                "whole characters", texts);
            equal(texts.stream().collect(joining()), HORSE + HORSE, "text");
            return pieces.size() + " tokens";
        }
    }

    private static String cancelMidStream() throws InterruptedException {
        var request = GenerateStreamRequest.newBuilder()
            .setPrompt(LAMB).setMaxTokens(2000).setSampling(GREEDY).setStop(ENDLESS).build();
        try (var client = plain()) {
            var began = System.nanoTime();
            try (var events = client.generateStream(request)) {
                for (int deltas = 0; deltas < 3; ) {
                    deltas += events.next().hasDelta() ? 1 : 0;
                }
            }
            pollUntilIdle(client);
            var took = secondsSince(began);
            var answer = client.generate(GenerateRequest.newBuilder()
                .setPrompt("Hi").setMaxTokens(4).setSampling(GREEDY).setStop(ENDLESS).build());
            equal(answer.getFinished().getUsage().getCompletionTokens(), 4, "tokens afterwards");
            return "idle after %.2f s".formatted(took);
        }
    }

    private Answers() {}
}
