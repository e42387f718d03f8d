// SPDX-License-Identifier: GPL-3.0-or-later
//
// Comma-separated values after RFC 4180: step, ordinal, vcpu, actor, privilege, cycles, event, narration, fields.
#pragma once

#include <ostream>

#include "core/export/exporter.h"

namespace shearling {

class CsvExporter : public Exporter {
 public:
  explicit CsvExporter(std::ostream& out);
  void on_event(const Event& event) override;
  void interval(const RunInterval&) override {}
  void finish(StepIndex) override {}

 private:
  std::ostream& out_;
};

}  // namespace shearling
