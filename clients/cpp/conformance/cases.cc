#include "cases.h"

#include <corral/client.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <thread>

namespace {

using namespace corral::v1;
using namespace std::chrono_literals;
using corral::Client;
using corral::Error;
using Clock = std::chrono::steady_clock;
using Metadata = std::map<std::string, std::string>;

static_assert(std::ranges::input_range<corral::Stream<GenerateStreamResponse>>);

const corral::CallOptions kBounded = {.timeout = 25s};
const std::string kStory = "Once upon a time, there was a";

// -- expecting ------------------------------------------------------------------------------------

void expect(bool is_so, const std::string& what) {
  if (!is_so) throw Failure(what);
}

template <class Seen, class Expected>
void expect_equal(const std::string& what, const Seen& seen, const Expected& expected) {
  if (seen == expected) return;
  std::ostringstream text;
  text << what << " is " << seen << " instead of " << expected;
  throw Failure(text.str());
}

void expect_part(const std::string& what, const std::string& seen, const std::string& part) {
  expect(seen.find(part) != std::string::npos, what + " \"" + seen + "\" has no \"" + part + "\"");
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void expect_between(const std::string& what, double seen, double least, double most) {
  expect(least <= seen && seen <= most, what + " is " + std::to_string(seen));
}

/// The error that `call` throws, which must have this code and reason.
template <class Call>
Error expect_error(grpc::StatusCode code, const std::string& reason, Call call) {
  try {
    call();
  } catch (const Error& error) {
    expect_equal("reason", error.reason, reason);
    expect_equal("code", error.code, code);
    expect(*error.what() != '\0', "the message is empty");
    return error;
  }
  throw Failure("no error, instead of " + reason);
}

void expect_metadata(const Error& error, const Metadata& expected) {
  for (const auto& [key, value] : expected) {
    const auto found = error.metadata.find(key);
    expect(found != error.metadata.end(), "no metadata " + key);
    expect_equal("metadata " + key, found->second, value);
  }
}

void expect_retry_after(const Error& error, std::chrono::nanoseconds expected) {
  expect(error.retry_after.has_value(), "no retry_after");
  expect_equal("retry_after in ns", error.retry_after->count(), expected.count());
}

/// Asks every 20 ms, for 5 s at most, until `is_so`.
template <class Ask>
void poll_until(const std::string& what, Ask is_so) {
  for (const auto start = Clock::now(); !is_so(); std::this_thread::sleep_for(20ms)) {
    expect(seconds_since(start) < 5, "after 5 s not yet: " + what);
  }
}

// -- servers and requests -------------------------------------------------------------------------

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : throw Failure(std::string(name) + " is not set");
}

Client& corral_server() {
  static Client client({.address = variable("CORRAL_ADDRESS")});
  return client;
}

Client& future_server() {
  static Client client({.address = variable("CORRAL_FUTURE_ADDRESS")});
  return client;
}

Client& flaky_server() {
  static Client client({.address = variable("CORRAL_FLAKY_ADDRESS")});
  return client;
}

Client tls_server(const std::string& token) {
  return Client({.address = variable("CORRAL_TLS_ADDRESS"),
                 .ca_file = variable("CORRAL_TLS_CA"),
                 .token = token});
}

std::string fresh_id() {
  static int count = 0;
  return "cpp-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

/// A GenerateRequest or a GenerateStreamRequest, greedy.
template <class Request>
Request ask(const std::string& prompt, int max_tokens, const std::string& model = "") {
  Request request;
  request.set_prompt(prompt);
  request.set_model(model);
  request.set_max_tokens(max_tokens);
  request.mutable_sampling()->set_temperature(0);
  return request;
}

GenerateRequest flaky(const std::string& model) {
  auto request = ask<GenerateRequest>("a", 8, model);
  request.set_request_id(fresh_id());
  return request;
}

GenerateStreamRequest flaky_stream(const std::string& model) {
  auto request = ask<GenerateStreamRequest>("a", 8, model);
  request.set_request_id(fresh_id());
  return request;
}

template <class Request>
void say(Request& request, Role role, const std::string& content) {
  auto* message = request.add_messages();
  message->set_role(role);
  message->set_content(content);
}

/// What an answer's stream brought.
struct Answer {
  Started started;
  std::vector<Delta> deltas;
  std::string text;
  Finished finished;
};

/// All of the stream, in the order the contract promises; arms that are not known are passed over.
template <class Event>
Answer read(corral::Stream<Event> stream) {
  Answer answer;
  int kind = 0;
  for (const auto& event : stream) {
    if (event.event_case() == Event::EVENT_NOT_SET) continue;
    expect(kind == 0 ? event.has_started() : !event.has_started(), "`started` is not the first");
    expect(kind != Event::kFinished, "something follows `finished`");
    kind = event.event_case();
    if (event.has_started()) answer.started = event.started();
    if (event.has_delta()) answer.deltas.push_back(event.delta());
    if (event.has_finished()) answer.finished = event.finished();
    answer.text += event.delta().text();
  }
  expect(kind == Event::kFinished, "the last message is not `finished`");
  return answer;
}

LoadModelRequest load_demo(const std::string& id) {
  LoadModelRequest request;
  request.set_id(id);
  request.mutable_source()->mutable_demo();
  return request;
}

UnloadModelResponse unload(const std::string& id) {
  UnloadModelRequest request;
  request.set_id(id);
  return corral_server().unload_model(request, kBounded);
}

/// The model of this id as ListModels tells it.
Model listed(const std::string& id) {
  const auto list = corral_server().list_models({}, kBounded);
  for (const auto& model : list.models()) {
    if (model.id() == id) return model;
  }
  throw Failure("ListModels does not have " + id);
}

void poll_until_idle() {
  poll_until("demo is idle", [] { return listed("demo").running_requests() == 0; });
}

// -- the cases ------------------------------------------------------------------------------------

std::string generate() {
  const auto answer = corral_server().generate(ask<GenerateRequest>(kStory, 24), kBounded);
  expect_equal("model", answer.model(), "demo");
  expect(answer.text().starts_with(" small lamb named"), "text is " + answer.text());
  expect_equal("reason", answer.finished().reason(), FINISH_REASON_LENGTH);
  expect_equal("prompt_tokens", answer.finished().usage().prompt_tokens(), 8);
  expect_equal("completion_tokens", answer.finished().usage().completion_tokens(), 24);
  expect_equal("total_tokens", answer.finished().usage().total_tokens(), 32);
  expect(!answer.request_id().empty(), "request_id is empty");
  return "24 tokens";
}

std::string generate_stream() {
  const auto whole = corral_server().generate(ask<GenerateRequest>(kStory, 24), kBounded);
  const auto answer =
      read(corral_server().generate_stream(ask<GenerateStreamRequest>(kStory, 24), kBounded));
  expect_equal("model", answer.started.model(), "demo");
  expect_equal("started.prompt_tokens", answer.started.prompt_tokens(), 8);
  int tokens = 0;
  for (const auto& delta : answer.deltas) {
    expect(delta.completion_tokens() >= tokens, "completion_tokens fell");
    tokens = delta.completion_tokens();
  }
  const auto& usage = answer.finished.usage();
  expect_equal("reason", answer.finished.reason(), whole.finished().reason());
  expect_equal("prompt_tokens", usage.prompt_tokens(), 8);
  expect_equal("completion_tokens", usage.completion_tokens(), 24);
  expect_equal("total_tokens", usage.total_tokens(), 32);
  expect_equal("text", answer.text, whole.text());
  return std::to_string(answer.deltas.size()) + " deltas";
}

std::string chat() {
  ChatRequest request;
  request.mutable_sampling()->set_temperature(0);
  say(request, ROLE_USER, "What is the capital of France?");
  const auto answer = corral_server().chat(request, kBounded);
  expect_equal("role", answer.message().role(), ROLE_ASSISTANT);
  expect_part("content", answer.message().content(), "Paris");
  expect_equal("reason", answer.finished().reason(), FINISH_REASON_EOS);
  return answer.message().content();
}

std::string chat_stream() {
  ChatStreamRequest request;
  request.mutable_sampling()->set_temperature(0);
  say(request, ROLE_USER, "What is the capital of France?");
  const auto first = read(corral_server().chat_stream(request, kBounded));
  expect_part("answer", first.text, "Paris");
  expect_equal("reason", first.finished.reason(), FINISH_REASON_EOS);
  say(request, ROLE_ASSISTANT, first.text);
  say(request, ROLE_USER, "What is 7 plus 5?");
  const auto second = read(corral_server().chat_stream(request, kBounded));
  expect_part("answer", second.text, "12");
  expect_equal("reason", second.finished.reason(), FINISH_REASON_EOS);
  return first.text + " " + second.text;
}

std::string tokenize() {
  const std::string text = "Hello, world! héllo 🐎";
  TokenizeRequest split;
  split.set_text(text);
  const auto tokens = corral_server().tokenize(split, kBounded).tokens();
  expect_equal("tokens", tokens.size(), 15);
  DetokenizeRequest join;
  std::string pieces;
  for (const auto& token : tokens) {
    pieces += token.piece();
    join.add_token_ids(token.id());
  }
  expect_equal("pieces", pieces, text);
  const auto joined = corral_server().detokenize(join, kBounded);
  expect_equal("text", joined.text(), text);
  expect_equal("raw", joined.raw(), text);
  CountTokensRequest count;
  count.set_prompt(text);
  const auto counted = corral_server().count_tokens(count, kBounded);
  expect_equal("count", counted.tokens(), 15);
  expect_equal("sequence_limit", counted.sequence_limit(), 2048);
  say(*count.mutable_conversation(), ROLE_USER, "What is 7 plus 5?");
  expect_equal("count of the conversation", corral_server().count_tokens(count, kBounded).tokens(),
               20);
  return "15 tokens";
}

using Vector = std::vector<float>;

float dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0f);
}

Vector unpacked(const std::string& packed) {
  Vector vector(packed.size() / sizeof(float));
  std::memcpy(vector.data(), packed.data(), vector.size() * sizeof(float));
  return vector;
}

void expect_unit(const Vector& vector) {
  expect_equal("numbers", vector.size(), 256u);
  expect_between("length", std::sqrt(dot(vector, vector)), 0.999, 1.001);
}

std::string embed() {
  EmbedRequest request;
  request.add_inputs()->set_text("A dog sleeps on the warm stones.");
  request.add_inputs()->set_text("A cat sleeps on the warm stones.");
  request.add_inputs()->set_text("Integers are closed under addition.");
  const auto plain = corral_server().embed(request, kBounded).embeddings();
  request.set_encoding(EMBEDDING_ENCODING_FLOAT32_LE);
  const auto packed = corral_server().embed(request, kBounded).embeddings();
  expect_equal("vectors", plain.size(), 3);
  expect_equal("packed vectors", packed.size(), 3);
  std::vector<Vector> vectors;
  for (int i = 0; i < 3; ++i) {
    expect_equal("index", plain[i].index(), i);
    expect_equal("packed index", packed[i].index(), i);
    const Vector& vector = vectors.emplace_back(plain[i].values().begin(), plain[i].values().end());
    const Vector same = unpacked(packed[i].packed());
    expect_unit(vector);
    expect_unit(same);
    for (size_t k = 0; k < vector.size(); ++k) {
      expect_between("difference", std::abs(vector[k] - same[k]), 0, 1e-6);
    }
  }
  const float near = dot(vectors[0], vectors[1]), far = dot(vectors[0], vectors[2]);
  expect(near > 0.6f && 0.6f > far,
         "near " + std::to_string(near) + ", far " + std::to_string(far));
  return "near " + std::to_string(near) + ", far " + std::to_string(far);
}

std::string embed_stream_1000() {
  EmbedStreamRequest request;
  request.set_encoding(EMBEDDING_ENCODING_FLOAT32_LE);
  for (int i = 0; i < 1000; ++i) {
    request.add_inputs()->set_text("Sentence number " + std::to_string(i) + ".");
  }
  int vectors = 0, messages = 0, prompt_tokens = 0;
  for (const auto& part : corral_server().embed_stream(request, kBounded)) {
    expect_equal("prompt_tokens before the last message", prompt_tokens, 0);
    ++messages;
    for (const auto& embedding : part.embeddings()) {
      expect_equal("index", embedding.index(), vectors++);
      expect_unit(unpacked(embedding.packed()));
    }
    prompt_tokens = part.usage().prompt_tokens();
  }
  expect_equal("vectors", vectors, 1000);
  expect(messages > 1, "all came in one message");
  expect(prompt_tokens > 1000, "prompt_tokens is " + std::to_string(prompt_tokens));
  return std::to_string(messages) + " messages";
}

std::string utf8_split_over_tokens() {
  const std::string horse = "🐎";
  auto request = ask<GenerateStreamRequest>("A horse: ", 8);
  request.mutable_output()->set_tokens(true);
  request.mutable_sampling()->set_frequency_penalty(100);
  auto& bias = *request.mutable_sampling()->mutable_logit_bias();
  bias[172] = 1000, bias[253] = 975, bias[238] = 950, bias[236] = 925;
  const auto answer = read(corral_server().generate_stream(request, kBounded));
  std::string pieces;
  int tokens = 0;
  for (const auto& delta : answer.deltas) {
    expect(delta.text() == horse + horse || delta.text() == horse || delta.text().empty(),
           "a delta is " + delta.text());
    for (const auto& token : delta.tokens()) {
      pieces += token.piece();
      expect_equal("bytes of a piece", token.piece().size(), 1u);
      ++tokens;
    }
  }
  expect_equal("tokens", tokens, 8);
  expect_equal("pieces", pieces, horse + horse);
  expect_equal("text", answer.text, horse + horse);
  return answer.text;
}

std::string cancel_mid_stream() {
  auto endless = ask<GenerateStreamRequest>(kStory, 2000);
  endless.mutable_stop()->set_ignore_eos(true);
  int deltas = 0;
  for (const auto& event : corral_server().generate_stream(endless, kBounded)) {
    if (event.has_delta() && ++deltas == 3) break;
  }
  expect_equal("deltas", deltas, 3);
  poll_until_idle();
  auto next = ask<GenerateRequest>("Hi", 4);
  next.mutable_stop()->set_ignore_eos(true);
  const auto answer = corral_server().generate(next, kBounded);
  expect_equal("completion_tokens", answer.finished().usage().completion_tokens(), 4);
  return "left after 3 deltas";
}

std::string deadline() {
  auto request = ask<GenerateRequest>(kStory, 2000);
  request.mutable_stop()->set_ignore_eos(true);
  const auto start = Clock::now();
  try {
    corral_server().generate(request, {.timeout = 300ms});
    throw Failure("no error");
  } catch (const Error& error) {
    expect_equal("code", error.code, grpc::DEADLINE_EXCEEDED);
  }
  const double elapsed = seconds_since(start);
  expect_between("elapsed", elapsed, 0.2, 3);
  poll_until_idle();
  return std::to_string(elapsed) + " s";
}

std::string prompt_of_one_megabyte() {
  std::string prompt;
  while (prompt.size() < 1'048'576) prompt += "corral ";
  prompt.resize(1'048'576);
  CountTokensRequest count;
  count.set_prompt(prompt);
  const int tokens = corral_server().count_tokens(count, kBounded).tokens();
  expect(tokens > 100'000, std::to_string(tokens) + " tokens");
  GenerateRequest request;
  request.set_prompt(prompt);
  request.mutable_sampling()->set_temperature(0);
  const Error error = expect_error(grpc::INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED",
                                   [&] { corral_server().generate(request, kBounded); });
  expect_metadata(error, {{"prompt_tokens", std::to_string(tokens)}, {"limit", "2047"}});
  return std::to_string(tokens) + " tokens";
}

std::string error_invalid_field() {
  auto request = ask<GenerateRequest>("a", 0);
  request.mutable_sampling()->set_temperature(-1);
  request.mutable_sampling()->set_top_p(3);
  const Error error = expect_error(grpc::INVALID_ARGUMENT, "INVALID_FIELD",
                                   [&] { corral_server().generate(request, kBounded); });
  std::set<std::string> fields;
  for (const auto& [field, why] : error.violations) {
    expect(!why.empty(), "no reason why for " + field);
    fields.insert(field);
  }
  expect_equal("violations", error.violations.size(), 3u);
  expect(fields == std::set<std::string>{"max_tokens", "sampling.temperature", "sampling.top_p"},
         std::string("other fields: ") + error.what());
  return error.what();
}

std::string error_model_not_found() {
  const Error error = expect_error(grpc::NOT_FOUND, "MODEL_NOT_FOUND", [] {
    corral_server().generate(ask<GenerateRequest>("a", 8, "nobody"), kBounded);
  });
  expect_metadata(error, {{"model", "nobody"}});
  expect_equal("model", error.model, "nobody");
  expect_part("message", error.what(), "nobody");
  return error.what();
}

std::string error_capability_not_supported() {
  EmbedRequest request;
  request.set_model("text");
  request.add_inputs()->set_text("a");
  const Error error = expect_error(grpc::FAILED_PRECONDITION, "CAPABILITY_NOT_SUPPORTED",
                                   [&] { corral_server().embed(request, kBounded); });
  expect_metadata(error, {{"model", "text"}, {"capability", "EMBED"}});
  return error.what();
}

std::string error_load_conflict() {
  auto request = load_demo("text");
  request.mutable_options()->set_slots(3);
  const Error error = expect_error(grpc::ALREADY_EXISTS, "LOAD_CONFLICT",
                                   [&] { corral_server().load_model(request, kBounded).last(); });
  expect_metadata(error, {{"model", "text"}});
  return error.what();
}

std::string error_model_file_not_found() {
  LoadModelRequest request;
  request.set_id("gone");
  request.mutable_source()->set_path("/nonexistent/corral.gguf");
  const Error error = expect_error(grpc::NOT_FOUND, "MODEL_FILE_NOT_FOUND",
                                   [&] { corral_server().load_model(request, kBounded).last(); });
  const Model model = listed("gone");
  unload("gone");
  expect_equal("state", model.state(), MODEL_STATE_FAILED);
  expect_equal("error.reason", model.error().reason(), "MODEL_FILE_NOT_FOUND");
  return error.what();
}

std::string error_queue_full() {
  const Error error = expect_error(grpc::RESOURCE_EXHAUSTED, "QUEUE_FULL",
                                   [] { flaky_server().generate(flaky("queue-full"), kBounded); });
  expect_retry_after(error, 1500ms);
  expect_metadata(error, {{"attempt", "1"}});
  return error.what();
}

std::string unknown_enum_value() {
  const auto answer = future_server().generate(ask<GenerateRequest>("a", 8), kBounded);
  expect_equal("text", answer.text(), "from the future");
  expect_equal("reason", static_cast<int>(answer.finished().reason()), 99);
  expect(!FinishReason_IsValid(answer.finished().reason()), "99 is known");
  const auto models = future_server().list_models({}, kBounded).models();
  expect_equal("models", models.size(), 1);
  expect_equal("id", models[0].id(), "future");
  expect_equal("state", static_cast<int>(models[0].state()), 99);
  expect(models[0].capabilities_size() >= 2, "capabilities were lost");
  expect_equal("capability", models[0].capabilities(0), CAPABILITY_GENERATE);
  expect_equal("capability", models[0].capabilities(1), CAPABILITY_CHAT);
  ChatRequest request;
  say(request, ROLE_USER, "a");
  const Error error = expect_error(grpc::FAILED_PRECONDITION, "SOMETHING_NEW",
                                   [&] { future_server().chat(request, kBounded); });
  expect_metadata(error, {{"answer", "42"}});
  expect_equal("message", error.what(), std::string("not yet invented"));
  return "reason 99, SOMETHING_NEW";
}

std::string unknown_oneof_arm() {
  const auto answer =
      read(future_server().generate_stream(ask<GenerateStreamRequest>("a", 8), kBounded));
  expect_equal("text", answer.text, "from the future");
  const auto loaded = future_server().load_model(load_demo("future"), kBounded).last();
  expect_equal("loaded", loaded.model().id(), "future");
  std::string arms;
  for (const auto& change : future_server().watch_models({}, kBounded)) {
    if (change.has_snapshot()) arms += "snapshot ";
    if (change.event_case() == WatchModelsResponse::EVENT_NOT_SET) arms += "unknown ";
    if (change.has_removed()) arms += "removed " + change.removed().id();
  }
  expect_equal("arms", arms, "snapshot unknown removed future");
  return arms;
}

std::string retry_honours_retry_info() {
  auto start = Clock::now();
  const auto whole = flaky_server().generate(flaky("unavailable-twice"), kBounded);
  const double elapsed = seconds_since(start);
  expect_equal("text", whole.text(), "attempt 3");
  expect_between("elapsed", elapsed, 0.45, 10);
  start = Clock::now();
  const auto answer =
      read(flaky_server().generate_stream(flaky_stream("unavailable-twice"), kBounded));
  expect_equal("streamed text", answer.text, "attempt 3");
  expect_between("elapsed of the stream", seconds_since(start), 0.45, 10);
  const Error error = expect_error(grpc::UNAVAILABLE, "ENGINE_RESTARTING", [] {
    flaky_server().generate(flaky("unavailable-always"), kBounded);
  });
  expect_retry_after(error, 50ms);
  expect_metadata(error, {{"attempt", "4"}});
  return std::to_string(elapsed) + " s";
}

std::string no_retry_where_unsafe() {
  std::vector<std::string> texts;
  const Error midway = expect_error(grpc::UNAVAILABLE, "ENGINE_RESTARTING", [&] {
    for (const auto& event :
         flaky_server().generate_stream(flaky_stream("fails-midway"), kBounded)) {
      if (event.has_delta()) texts.push_back(event.delta().text());
    }
  });
  expect_equal("deltas", texts.size(), 1u);
  expect_equal("delta", texts[0], "half");
  expect_metadata(midway, {{"attempt", "1"}});
  const Error hub = expect_error(grpc::UNAVAILABLE, "HUB_UNAVAILABLE", [] {
    flaky_server().generate(flaky("hub-unavailable"), kBounded);
  });
  expect_retry_after(hub, 50ms);
  expect_metadata(hub, {{"attempt", "1"}});
  return "one attempt each";
}

std::string tls_and_token() {
  const Client client = tls_server(variable("CORRAL_TLS_TOKEN"));
  const auto whole = client.generate(ask<GenerateRequest>(kStory, 4), kBounded);
  expect(whole.text().starts_with(" small"), "text is " + whole.text());
  const auto answer = read(client.generate_stream(ask<GenerateStreamRequest>(kStory, 4), kBounded));
  expect_equal("streamed text", answer.text, whole.text());
  return whole.text();
}

std::string token_refused() {
  const auto expect_refused = [](auto call) {
    const std::string message = expect_error(grpc::UNAUTHENTICATED, "UNAUTHENTICATED", call).what();
    expect(message.find("wrong") == std::string::npos, "the message tells the token");
    expect(message.find(variable("CORRAL_TLS_TOKEN")) == std::string::npos,
           "the message tells the right token");
    return message;
  };
  const auto request = ask<GenerateRequest>(kStory, 4);
  const Client nobody = tls_server(""), stranger = tls_server("wrong");
  expect_refused([&] { nobody.generate(request, kBounded); });
  expect_refused([&] { stranger.generate(request, kBounded); });
  return expect_refused(
      [&] { stranger.generate_stream(ask<GenerateStreamRequest>(kStory, 4), kBounded).last(); });
}

std::string model_lifecycle() {
  auto watch = corral_server().watch_models({}, kBounded);
  std::set<std::string> ids;
  for (const auto& model : watch.begin()->snapshot().models()) ids.insert(model.id());
  expect(ids.contains("demo") && ids.contains("text"), "the snapshot lacks demo or text");

  auto request = load_demo("second");
  request.mutable_options()->set_slots(2);
  request.add_aliases("spare");
  std::vector<LoadStage> stages;
  Model model;
  for (const auto& event : corral_server().load_model(request, kBounded)) {
    if (event.has_model()) model = event.model();
    if (!event.has_progress()) continue;
    expect_between("fraction", event.progress().fraction(), 0, 1);
    if (stages.empty() || stages.back() != event.progress().stage()) {
      stages.push_back(event.progress().stage());
    }
  }
  expect(stages == std::vector{LOAD_STAGE_PROBING, LOAD_STAGE_LOADING, LOAD_STAGE_WARMING},
         "other stages, or in another order");
  expect_equal("state", model.state(), MODEL_STATE_READY);
  expect_equal("slots", model.facts().slots(), 2);
  expect_equal("listed state", listed("second").state(), MODEL_STATE_READY);
  const auto answer = corral_server().generate(ask<GenerateRequest>("Hi", 4, "spare"), kBounded);
  expect_equal("model", answer.model(), "second");

  const auto remaining = unload("second").remaining_ids();
  const std::set<std::string> left(remaining.begin(), remaining.end());
  expect(left.contains("demo") && left.contains("text") && !left.contains("second"),
         "remaining_ids are wrong");
  bool was_ready = false, was_removed = false;
  for (const auto& change : watch) {
    was_ready |= change.changed().id() == "second" && change.changed().state() == MODEL_STATE_READY;
    was_removed = change.removed().id() == "second";
    if (was_removed) break;
  }
  expect(was_ready && was_removed, "the watch missed READY or the removal");
  expect_error(grpc::NOT_FOUND, "MODEL_NOT_FOUND",
               [] { corral_server().generate(ask<GenerateRequest>("a", 8, "second"), kBounded); });
  return "loaded, listed, asked, unloaded, watched";
}

/// The message's bytes, maps in the order of their keys.
std::string serialized(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::string golden_bytes() {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(variable("CORRAL_GOLDEN"))) {
    if (entry.path().extension() != ".binpb") continue;
    const std::string file = entry.path().filename();
    const std::string prefix = "corral.v1.";
    const std::string name = file.substr(0, file.find('.', prefix.size()));
    const auto* type =
        google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
    expect(type != nullptr, name + " is not known");
    const std::unique_ptr<google::protobuf::Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    expect(message->ParseFromString(bytes), file + " does not parse");
    expect(serialized(*message) == bytes, file + " is serialised otherwise");
    ++files;
  }
  expect(files >= 60, "only " + std::to_string(files) + " files");
  return std::to_string(files) + " files";
}

}  // namespace

#define CASE(name) \
  { #name, name }
const std::vector<Case> cases = {
    CASE(generate),
    CASE(generate_stream),
    CASE(chat),
    CASE(chat_stream),
    CASE(tokenize),
    CASE(embed),
    CASE(embed_stream_1000),
    CASE(utf8_split_over_tokens),
    CASE(cancel_mid_stream),
    CASE(deadline),
    CASE(prompt_of_one_megabyte),
    CASE(error_invalid_field),
    CASE(error_model_not_found),
    CASE(error_capability_not_supported),
    CASE(error_load_conflict),
    CASE(error_model_file_not_found),
    CASE(error_queue_full),
    CASE(unknown_enum_value),
    CASE(unknown_oneof_arm),
    CASE(retry_honours_retry_info),
    CASE(no_retry_where_unsafe),
    CASE(tls_and_token),
    CASE(token_refused),
    CASE(model_lifecycle),
    CASE(golden_bytes),
};
#undef CASE
