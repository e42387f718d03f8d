// SPDX-License-Identifier: GPL-3.0-or-later
//
// The schema of run files, format 1. A change that an older reader cannot read raises RunRecorder::kFormat.
#pragma once

namespace shearling {

inline constexpr const char* kRunFileSchema = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE kind (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE event (
  step INTEGER NOT NULL, ordinal INTEGER NOT NULL, vcpu INTEGER NOT NULL, actor INTEGER NOT NULL,
  privilege INTEGER NOT NULL, cycles INTEGER NOT NULL, kind INTEGER NOT NULL REFERENCES kind(id), fields TEXT NOT NULL,
  PRIMARY KEY (step, ordinal)) WITHOUT ROWID;
CREATE TABLE interval (
  first INTEGER PRIMARY KEY, steps INTEGER NOT NULL, traps INTEGER NOT NULL, exits INTEGER NOT NULL, cycles INTEGER NOT NULL,
  tlb_lookups INTEGER, tlb_misses INTEGER, walks INTEGER, walk_references INTEGER,
  l1i_misses INTEGER, l1d_misses INTEGER, l2_misses INTEGER, llc_misses INTEGER);
CREATE VIEW events AS
  SELECT step, ordinal, vcpu, CASE actor WHEN 0 THEN 'guest user' WHEN 1 THEN 'guest kernel' WHEN 2 THEN 'VMM' ELSE 'hardware' END AS actor,
         privilege, cycles, kind.name AS event, fields
  FROM event JOIN kind ON kind.id = event.kind ORDER BY step, ordinal;
)sql";

}  // namespace shearling
