//! The clocks of the process that compares, so that both mean the same second.

use rustix::time::{ClockId, clock_gettime};

/// The machine's monotonic clock, in seconds: Python's `time.perf_counter`.
pub fn now_s() -> f64 {
    seconds(ClockId::Monotonic)
}

/// Processor time of this process, in seconds.
pub fn cpu_s() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
