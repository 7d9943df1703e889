// Performs the cases and reports each, or, as `conformance overhead`, what the wrapper costs.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "cases.h"
#include "overhead.h"

namespace {

/// Writes lines to CORRAL_REPORT, else to standard output.
class Report {
 public:
  void write(const google::protobuf::Struct& line) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(line, &json).ok()) std::abort();
    (file_.is_open() ? file_ : std::cout) << json << std::endl;
  }

 private:
  static std::ofstream open() {
    const char* path = std::getenv("CORRAL_REPORT");
    return path ? std::ofstream(path) : std::ofstream();
  }

  std::ofstream file_ = open();
};

google::protobuf::Struct perform(const Case& one) {
  google::protobuf::Struct line;
  auto& fields = *line.mutable_fields();
  fields["case"].set_string_value(one.name);
  try {
    fields["detail"].set_string_value(one.run());
    fields["ok"].set_bool_value(true);
  } catch (const std::exception& error) {
    fields["detail"].set_string_value(error.what());
    fields["ok"].set_bool_value(false);
  }
  return line;
}

google::protobuf::Struct overhead() {
  google::protobuf::Struct line;
  const Overhead seen = measure_overhead();
  const auto add = [&](const char* name, const std::vector<double>& seconds) {
    auto* list = (*line.mutable_fields())[name].mutable_list_value();
    for (const double value : seconds) list->add_values()->set_number_value(value);
  };
  add("wrapper_s", seen.wrapper_s);
  add("raw_s", seen.raw_s);
  return line;
}

}  // namespace

int main(int count, char** arguments) {
  Report report;
  if (count > 1 && std::string(arguments[1]) == "overhead") {
    report.write(overhead());
    return 0;
  }
  for (const Case& one : cases) report.write(perform(one));
}
