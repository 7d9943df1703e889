// The cases every client performs; clients/conformance/CASES.md says what each must see.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

/// Something else was seen than expected; what() says both.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Case {
  std::string name;
  std::string (*run)();  // what was seen, for a person; throws if it is not what was expected
};

/// In the order of their page.
extern const std::vector<Case> cases;
