// Ask twice in one conversation and print the answers while they are written. Needs a server:
// corral serve
#include <corral/client.h>

#include <iostream>

int main() {
  corral::Client client;
  corral::v1::ChatStreamRequest request;
  request.mutable_sampling()->set_temperature(0);
  const auto say = [&](corral::v1::Role role, const std::string& content) {
    auto* message = request.add_messages();
    message->set_role(role);
    message->set_content(content);
  };

  say(corral::v1::ROLE_SYSTEM, "Answer briefly.");
  for (const auto* question : {"What is the capital of France?", "And of Italy?"}) {
    std::cout << "> " << question << "\n";
    say(corral::v1::ROLE_USER, question);
    std::string answer;
    for (const auto& event : client.chat_stream(request)) {
      std::cout << event.delta().text() << std::flush;
      answer += event.delta().text();
    }
    std::cout << "\n";
    say(corral::v1::ROLE_ASSISTANT, answer);
  }
}
