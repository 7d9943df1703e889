#include "overhead.h"

#include <corral/client.h>

#include <cstdlib>

namespace {

using corral::v1::GenerateStreamRequest;
using corral::v1::GenerateStreamResponse;

constexpr int kDeltas = 10'000;
constexpr int kRounds = 5;

GenerateStreamRequest flood() {
  GenerateStreamRequest request;
  request.set_prompt("a");
  request.set_max_tokens(kDeltas);
  return request;
}

/// The bytes of text that came.
size_t read_wrapper(const corral::Client& client) {
  size_t bytes = 0;
  for (const auto& event : client.generate_stream(flood())) {
    if (event.has_delta()) bytes += event.delta().text().size();
  }
  return bytes;
}

size_t read_raw(corral::v1::Inference::Stub& stub) {
  size_t bytes = 0;
  grpc::ClientContext context;
  GenerateStreamResponse event;
  const auto reader = stub.GenerateStream(&context, flood());
  while (reader->Read(&event)) {
    if (event.has_delta()) bytes += event.delta().text().size();
  }
  if (const auto status = reader->Finish(); !status.ok()) throw corral::Error(status);
  return bytes;
}

template <class Read>
double seconds(Read read) {
  const auto start = std::chrono::steady_clock::now();
  if (read() == 0) throw std::runtime_error("the flood brought no text");
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Overhead measure_overhead() {
  const corral::Client client({.address = std::getenv("CORRAL_FLOOD_ADDRESS")});
  const auto stub = corral::v1::Inference::NewStub(client.link->channel);
  Overhead seen;
  for (int round = 0; round <= kRounds; ++round) {  // the first warms up
    const double wrapper = seconds([&] { return read_wrapper(client); });
    const double raw = seconds([&] { return read_raw(*stub); });
    if (round == 0) continue;
    seen.wrapper_s.push_back(wrapper);
    seen.raw_s.push_back(raw);
  }
  return seen;
}
