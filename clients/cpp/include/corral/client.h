// A client of one Corral server: every call of the contract, with the contract's own messages.
#pragma once

#include <corral/v1/inference.grpc.pb.h>
#include <corral/v1/model_manager.grpc.pb.h>
#include <corral/v1/server.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <stop_token>

namespace corral {

/// One bad field: its path in the request, and what is wrong with it.
struct Violation {
  std::string field, why;
};

/// A call failed; what() is a sentence for people, the fields are for programs.
struct Error : std::runtime_error {
  explicit Error(const grpc::Status& status);

  grpc::StatusCode code;
  std::string reason;  ///< A name in ErrorReason without its prefix; empty if the server gave none.
  std::map<std::string, std::string> metadata;  ///< The numbers and names behind the message.
  std::vector<Violation> violations;            ///< Every bad field.
  std::string model;                            ///< The model it is about; may be empty.
  std::optional<std::chrono::nanoseconds> retry_after;  ///< When to come back, if the server says.
};

/// This variable of the environment; `otherwise` where it is not set.
std::string setting(const char* name, const char* otherwise = "");

/// Where a server is and how it is reached; the environment says what is left out.
struct Options {
  std::string address = setting("CORRAL_ADDRESS", "127.0.0.1:50051");  ///< As gRPC resolves it.
  bool tls = false;
  /// PEM, instead of the system's authorities; turns on TLS.
  std::string ca_file = setting("CORRAL_CA_FILE");
  /// A bearer token for every call; without TLS it travels readable.
  std::string token = setting("CORRAL_TOKEN");
};

/// How long a call may take, all attempts together, and what cancels it. Default: nothing does.
struct CallOptions {
  std::optional<std::chrono::nanoseconds> timeout = {};
  std::stop_token stop = {};
};

/// A channel to one server, with a stub for each service.
struct Connection {
  explicit Connection(const Options& options);

  std::string token;
  std::shared_ptr<grpc::Channel> channel;
  mutable std::tuple<v1::ModelManager::Stub, v1::Inference::Stub, v1::Server::Stub> stubs;
};
using Link = std::shared_ptr<const Connection>;

/// The attempts of one call: four at most, and none after the first message.
struct Attempts {
  Attempts(Link link, const CallOptions& options);
  /// The context of the next attempt; the one before must be over.
  grpc::ClientContext* next();
  /// Waits until the call may be made again; throws what ended it if it may not.
  void wait_or_throw(const grpc::Status& status);

  Link link;
  std::stop_token stop;
  std::chrono::system_clock::time_point deadline = std::chrono::system_clock::time_point::max();
  std::chrono::nanoseconds pause = std::chrono::milliseconds(100);
  int left = 3;
  std::optional<grpc::ClientContext> context = {};
  std::optional<std::stop_callback<std::function<void()>>> on_stop = {};
};

/// The messages of one call as they come: an input range, read once. A call that fails throws an
/// Error from the loop; one that is stopped ends it. Destroying the stream early cancels the call,
/// which frees the model at once.
template <class Event>
class Stream {
 public:
  using Reader = std::unique_ptr<grpc::ClientReader<Event>>;
  struct Iterator {
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    Stream* stream;
    const Event& operator*() const { return stream->event_; }
    const Event* operator->() const { return &stream->event_; }
    Iterator& operator++() { return stream->read(), *this; }
    void operator++(int) { stream->read(); }
    bool operator==(std::default_sentinel_t) const { return stream->is_over_; }
  };

  Stream(Link link, const CallOptions& options, std::function<Reader(grpc::ClientContext*)> open)
      : attempts_(link, options), open_(std::move(open)), reader_(open_(attempts_.next())) {}
  Stream(const Stream&) = delete;
  ~Stream() {
    if (is_over_) return;
    attempts_.context->TryCancel();
    reader_->Finish();
  }
  /// Waits for the next message, also when it is called again.
  Iterator begin() { return ++Iterator{this}; }
  std::default_sentinel_t end() const { return {}; }
  /// Waits for the end; the last message.
  Event last() {
    while (!is_over_) read();
    return event_;
  }

 private:
  void read() {
    while (!is_over_) {
      if (reader_->Read(&event_)) return void(attempts_.left = 0);
      is_over_ = true;
      const grpc::Status status = reader_->Finish();
      if (status.ok() || attempts_.stop.stop_requested()) return;
      attempts_.wait_or_throw(status);
      reader_ = nullptr;
      reader_ = open_(attempts_.next());
      is_over_ = false;
    }
  }

  Attempts attempts_;
  std::function<Reader(grpc::ClientContext*)> open_;
  Reader reader_;
  Event event_;
  bool is_over_ = false;
};

/// A call of the contract: takes a request and brings one answer, or a Stream of them.
template <auto Method>
struct Call;

template <class Stub, class Request, class Response,
          grpc::Status (Stub::*Method)(grpc::ClientContext*, const Request&, Response*)>
struct Call<Method> {
  Link link;
  Response operator()(const Request& request, const CallOptions& options = {}) const {
    Attempts attempts(link, options);
    for (Response response;;) {
      auto& stub = std::get<Stub>(link->stubs);
      const grpc::Status status = (stub.*Method)(attempts.next(), request, &response);
      if (status.ok()) return response;
      attempts.wait_or_throw(status);
    }
  }
};

template <class Stub, class Request, class Event,
          std::unique_ptr<grpc::ClientReader<Event>> (Stub::*Method)(grpc::ClientContext*,
                                                                     const Request&)>
struct Call<Method> {
  Link link;
  Stream<Event> operator()(Request request, const CallOptions& options = {}) const {
    auto open = [link = link, request = std::move(request)](grpc::ClientContext* context) {
      return (std::get<Stub>(link->stubs).*Method)(context, request);
    };
    return {link, options, std::move(open)};
  }
};

/// Threads may share it. Nothing is connected before the first call.
struct Client {
  explicit Client(const Options& options = {}) : link(std::make_shared<Connection>(options)) {}

  Link link;
  Call<&v1::ModelManager::Stub::LoadModel> load_model{link};
  Call<&v1::ModelManager::Stub::UnloadModel> unload_model{link};
  Call<&v1::ModelManager::Stub::ListModels> list_models{link};
  Call<&v1::ModelManager::Stub::GetModel> get_model{link};
  Call<&v1::ModelManager::Stub::SetDefaultModel> set_default_model{link};
  Call<&v1::ModelManager::Stub::GetDefaultModel> get_default_model{link};
  Call<&v1::ModelManager::Stub::ResolveModel> resolve_model{link};
  Call<&v1::ModelManager::Stub::WatchModels> watch_models{link};
  Call<&v1::ModelManager::Stub::GetMemory> get_memory{link};
  Call<&v1::ModelManager::Stub::PredictMemory> predict_memory{link};
  Call<&v1::ModelManager::Stub::SearchHub> search_hub{link};
  Call<&v1::ModelManager::Stub::ListHubFiles> list_hub_files{link};
  Call<&v1::ModelManager::Stub::PullModel> pull_model{link};
  Call<&v1::Inference::Stub::Generate> generate{link};
  Call<&v1::Inference::Stub::GenerateStream> generate_stream{link};
  Call<&v1::Inference::Stub::Chat> chat{link};
  Call<&v1::Inference::Stub::ChatStream> chat_stream{link};
  Call<&v1::Inference::Stub::Tokenize> tokenize{link};
  Call<&v1::Inference::Stub::Detokenize> detokenize{link};
  Call<&v1::Inference::Stub::CountTokens> count_tokens{link};
  Call<&v1::Inference::Stub::Embed> embed{link};
  Call<&v1::Inference::Stub::EmbedStream> embed_stream{link};
  Call<&v1::Server::Stub::GetServerInfo> get_server_info{link};
  Call<&v1::Server::Stub::GetLoad> get_load{link};
};

}  // namespace corral
