// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/result.h"

namespace shearling {

std::string Diagnostic::text() const {
  std::string place = file;
  if (line != 0) place += (place.empty() ? "line " : ":") + std::to_string(line);
  if (line != 0 && column != 0) place += ":" + std::to_string(column);
  std::string result = place.empty() ? message : place + ": " + message;
  if (!remedy.empty()) result += "; " + remedy;
  return result;
}

}  // namespace shearling
