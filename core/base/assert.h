// SPDX-License-Identifier: GPL-3.0-or-later
//
// SHEARLING_ASSERT is for our own bugs alone, and stays on in every build but release.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace shearling {
[[noreturn]] inline void assertion_failed(const char* condition, const char* why, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: this is a bug in Shearling: %s (%s)\n", file, line, why, condition);
  std::abort();
}
}  // namespace shearling

#ifdef NDEBUG
#define SHEARLING_ASSERT(condition, why) static_cast<void>(0)
#else
#define SHEARLING_ASSERT(condition, why) \
  static_cast<void>((condition) || (::shearling::assertion_failed(#condition, why, __FILE__, __LINE__), false))
#endif
