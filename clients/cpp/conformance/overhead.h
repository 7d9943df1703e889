// What the wrapper's stream costs, against the stub it is made of.
#pragma once

#include <vector>

/// Seconds that each reading of 10,000 deltas took.
struct Overhead {
  std::vector<double> wrapper_s;
  std::vector<double> raw_s;
};

/// Measures at CORRAL_FLOOD_ADDRESS.
Overhead measure_overhead();
