// Continue a text and print it while it is written. Needs a server: corral serve
#include <corral/client.h>

#include <iostream>

int main() {
  corral::Client client;
  corral::v1::GenerateStreamRequest request;
  request.set_prompt("Once upon a time, there was a");
  request.set_max_tokens(32);
  request.mutable_sampling()->set_temperature(0);

  auto stream = client.generate_stream(request);
  for (const auto& event : stream) std::cout << event.delta().text() << std::flush;
  const auto finished = stream.last().finished();
  std::cout << "\n"
            << FinishReason_Name(finished.reason()) << " after "
            << finished.usage().completion_tokens() << " tokens\n";
}
