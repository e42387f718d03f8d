// SPDX-License-Identifier: GPL-3.0-or-later
//
// The machine's own caches as a figure: misses, ways read and energy of the run so far, SEESAW beside the plain cache
// on the same references. There is no paper beside it.
#pragma once

#include "app/gui/machine_view.h"
#include "core/cache_study/figure.h"

namespace shearling::gui {

/// No panels where nothing runs.
Figure run_figure(const MachineView& view);

}  // namespace shearling::gui
