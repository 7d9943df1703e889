// Ask twice in one conversation and print the answers while they are written.

import dev.corral.Corral;
import dev.corral.v1.ChatStreamRequest;
import dev.corral.v1.Message;
import dev.corral.v1.Role;
import dev.corral.v1.SamplingParams;
import java.util.List;

class chat {
    public static void main(String[] arguments) {
        var request = ChatStreamRequest.newBuilder()
            .addMessages(message(Role.ROLE_SYSTEM, "Answer briefly."))
            .setSampling(SamplingParams.newBuilder().setTemperature(0));
        try (var client = Corral.connect()) {
            for (var question : List.of("What is the capital of France?", "And of Italy?")) {
                System.out.println("> " + question);
                request.addMessages(message(Role.ROLE_USER, question));
                var answer = new StringBuilder();
                for (var event : client.chatStream(request.build())) {
                    answer.append(event.getDelta().getText());
                    System.out.print(event.getDelta().getText());
                    System.out.flush();
                }
                System.out.println();
                request.addMessages(message(Role.ROLE_ASSISTANT, answer.toString()));
            }
        }
    }

    static Message message(Role role, String content) {
        return Message.newBuilder().setRole(role).setContent(content).build();
    }
}
