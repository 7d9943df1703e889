#include "corral/client.h"

#include <corral/client/status.pb.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <sstream>

namespace corral {
namespace {

using Clock = std::chrono::system_clock;

/// The first detail of this kind, which has the name it has in google.rpc; empty if there is none.
template <class Detail>
std::optional<Detail> find(const client::status::Status& status) {
  for (const auto& packed : status.details()) {
    Detail detail;
    if (packed.type_url().ends_with("/google.rpc." + Detail::descriptor()->name()) &&
        detail.ParseFromString(packed.value())) {
      return detail;
    }
  }
  return std::nullopt;
}

std::shared_ptr<grpc::ChannelCredentials> credentials(const Options& options) {
  if (!options.tls && options.ca_file.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions tls;
  if (!options.ca_file.empty()) {
    std::ifstream file(options.ca_file);
    if (!file) throw std::runtime_error("cannot read " + options.ca_file);
    tls.pem_root_certs = (std::ostringstream() << file.rdbuf()).str();
  }
  return grpc::SslCredentials(tls);
}

std::shared_ptr<grpc::Channel> channel(const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix("corral-cpp/" CORRAL_VERSION);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetMaxSendMessageSize(-1);  // the server knows its limit and says it
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // A long prompt is silent until its first token: pings must not stop before.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // meant for the web, and breaks 127.0.0.1
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);     // Attempts knows better what is safe
  return grpc::CreateCustomChannel(options.address, credentials(options), arguments);
}

}  // namespace

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

Error::Error(const grpc::Status& failed)
    : std::runtime_error(failed.error_message()), code(failed.error_code()) {
  using namespace client::status;
  Status status;
  if (!status.ParseFromString(failed.error_details())) return;
  const auto info = find<ErrorInfo>(status);
  if (!info || info->domain() != "corral") return;  // of gRPC, or of something between us
  reason = info->reason();
  metadata = {info->metadata().begin(), info->metadata().end()};
  if (metadata.contains("model")) model = metadata["model"];
  if (const auto resource = find<ResourceInfo>(status)) model = resource->resource_name();
  if (const auto bad = find<BadRequest>(status)) {
    for (const auto& field : bad->field_violations()) {
      violations.push_back({field.field(), field.description()});
    }
  }
  if (const auto retry = find<RetryInfo>(status)) {
    retry_after = std::chrono::seconds(retry->retry_delay().seconds()) +
                  std::chrono::nanoseconds(retry->retry_delay().nanos());
  }
}

Connection::Connection(const Options& options)
    : token(options.token), channel(corral::channel(options)), stubs(channel, channel, channel) {}

Attempts::Attempts(Link to, const CallOptions& options) : link(std::move(to)), stop(options.stop) {
  if (!options.timeout) return;
  deadline = Clock::now() + std::chrono::ceil<Clock::duration>(*options.timeout);
}

grpc::ClientContext* Attempts::next() {
  on_stop.reset();
  context.emplace().set_deadline(deadline);
  if (!link->token.empty()) context->AddMetadata("authorization", "Bearer " + link->token);
  on_stop.emplace(stop, [this] { context->TryCancel(); });
  return &*context;
}

void Attempts::wait_or_throw(const grpc::Status& status) {
  const Error error(status);
  // The Hub is unavailable for longer than this, maybe because it was asked too often.
  const bool is_safe = error.code == grpc::UNAVAILABLE && error.reason != "HUB_UNAVAILABLE";
  const auto wake = Clock::now() + error.retry_after.value_or(pause);
  if (!is_safe || left-- <= 0 || wake >= deadline) throw error;
  pause *= 2;
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_until(lock, stop, wake, [] { return false; });
}

}  // namespace corral
