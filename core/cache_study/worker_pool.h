// SPDX-License-Identifier: GPL-3.0-or-later
//
// Independent pieces of work over several threads. Each piece writes its own place, so that results do not depend on
// how many threads there are or which was quicker.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace shearling {

/// All cores where `asked` is 0.
inline unsigned worker_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

/// Calls work(0) to work(count - 1), each once, in that order of starting; work() returns false to start no more. What
/// it throws is thrown again here, once all threads have ended. False: some pieces were not done.
template <typename Work>
bool run_in_parallel(unsigned jobs, std::size_t count, Work work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;
  std::mutex failure_guard;
  const auto worker = [&] {
    try {
      for (std::size_t index = next++; index < count && !stop; index = next++) {
        if (!work(index)) stop = true;
      }
    } catch (...) {
      const std::scoped_lock lock(failure_guard);
      failure = std::current_exception();
      stop = true;
    }
  };
  std::vector<std::thread> threads;
  const std::size_t helpers = std::min<std::size_t>(worker_count(jobs), count);
  for (std::size_t i = 1; i < helpers; ++i) threads.emplace_back(worker);
  worker();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  return !stop;
}

}  // namespace shearling
