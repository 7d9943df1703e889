// Continue a text and print it while it is written.

import dev.corral.Corral;
import dev.corral.v1.GenerateStreamRequest;
import dev.corral.v1.SamplingParams;

class generate {
    public static void main(String[] arguments) {
        var request = GenerateStreamRequest.newBuilder()
            .setPrompt("Once upon a time, there was a")
            .setMaxTokens(32)
            .setSampling(SamplingParams.newBuilder().setTemperature(0))
            .build();
        try (var client = Corral.connect(); var events = client.generateStream(request)) {
            for (var event : events) {
                System.out.print(event.getDelta().getText());
                System.out.flush();
                if (event.hasFinished()) {
                    var finished = event.getFinished();
                    System.out.printf("%n%s after %d tokens%n",
                        finished.getReason(), finished.getUsage().getCompletionTokens());
                }
            }
        }
    }
}
