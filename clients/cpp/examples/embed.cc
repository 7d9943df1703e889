// Find which of five sentences is nearest to a sentence. Needs a server: corral serve
//
// The demo model finds like words; a model made for it finds like meaning: it would be loaded with
// mutable_source()->set_path(), or from the Hub with mutable_hub().
#include <corral/client.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

int main() {
  const std::string question = "A dog sleeps on the warm stones.";
  const std::string sentences[] = {
      "The restaurant opens at noon.",    "The train to Rome leaves at nine.",
      "A cat sleeps on the warm stones.", "Integers are closed under addition.",
      "It will rain in the afternoon.",
  };
  corral::Client client;
  corral::v1::LoadModelRequest load;
  load.set_id("embedder");
  load.mutable_source()->mutable_demo();
  load.add_capabilities(corral::v1::CAPABILITY_EMBED);
  client.load_model(load).last();

  corral::v1::EmbedRequest request;
  request.set_model("embedder");
  request.add_inputs()->set_text(question);
  for (const auto& sentence : sentences) request.add_inputs()->set_text(sentence);
  const auto response = client.embed(request);
  corral::v1::UnloadModelRequest unload;
  unload.set_id("embedder");
  client.unload_model(unload);

  // Vectors have length 1: the sum of products is the cosine of the angle between two.
  const auto& target = response.embeddings(0).values();
  std::vector<std::pair<float, std::string>> likeness;
  for (int i = 1; i < response.embeddings_size(); ++i) {
    const auto& vector = response.embeddings(i).values();
    const float product = std::inner_product(target.begin(), target.end(), vector.begin(), 0.0f);
    likeness.emplace_back(product, sentences[i - 1]);
  }
  std::sort(likeness.rbegin(), likeness.rend());
  std::puts(question.c_str());
  for (const auto& [number, sentence] : likeness)
    std::printf("%.2f %s\n", number, sentence.c_str());
}
