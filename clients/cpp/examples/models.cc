// Load a model beside the others, list them, watch it go. Needs a server: corral serve
#include <corral/client.h>

#include <cmath>
#include <iostream>

using namespace corral::v1;

int main() {
  corral::Client client;
  LoadModelRequest load;
  load.set_id("second");
  load.mutable_source()->mutable_demo();
  load.mutable_options()->set_slots(2);
  load.add_aliases("spare");
  for (const auto& event : client.load_model(load)) {
    if (!event.has_progress()) continue;
    std::cout << LoadStage_Name(event.progress().stage()) << " "
              << std::lround(event.progress().fraction() * 100) << "%\n";
  }
  const auto list = client.list_models({});
  for (const auto& model : list.models()) {
    std::cout << (model.is_default() ? "* " : "  ") << model.id() << " "
              << ModelState_Name(model.state()) << " " << model.facts().context_size() << "\n";
  }

  auto changes = client.watch_models({});
  std::cout << "watching";
  for (const auto& model : changes.begin()->snapshot().models()) std::cout << " " << model.id();
  std::cout << "\n";
  UnloadModelRequest unload;
  unload.set_id("second");
  client.unload_model(unload);
  for (const auto& change : changes) {
    if (change.changed().id() == "second") {
      std::cout << "second " << ModelState_Name(change.changed().state()) << "\n";
    }
    if (change.removed().id() == "second") break;
  }
  std::cout << "second removed\n";
}
