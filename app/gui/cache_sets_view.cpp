// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/cache_sets_view.h"

#include <algorithm>
#include <array>

#include "app/gui/paint.h"
#include "app/gui/rows.h"
#include "core/events/reflection.h"

namespace shearling::gui {
namespace {

QString percent(double share) {
  return QStringLiteral("%1 %").arg(share * 100, 0, 'f', share > 0 && share < 0.1 ? 1 : 0);
}
QString size_text(std::uint64_t bytes) {
  return bytes >= 1U << 20 ? QStringLiteral("%1 MB").arg(bytes >> 20) : QStringLiteral("%1 KB").arg(bytes >> 10);
}

}  // namespace

QString organisation_name(CacheOrganisation organisation) {
  switch (organisation) {
    case CacheOrganisation::Vipt:
      return QStringLiteral("VIPT");
    case CacheOrganisation::Seesaw:
      return QStringLiteral("SEESAW");
    case CacheOrganisation::Pipt:
      return QStringLiteral("PIPT");
    case CacheOrganisation::Vivt:
      return QStringLiteral("VIVT");
  }
  return {};
}

std::optional<ShownLookup> lookup_to_show(const Moment& moment) {
  const MachineView& view = *moment.machine;
  const std::string& cache = view.caches.l1d.config.name;
  const std::size_t end = std::min(moment.happened(), view.events.size());
  std::optional<std::size_t> best;
  bool best_is_walk = true;
  for (std::size_t index = 0; index < end; ++index) {
    const auto* lookup = std::get_if<CacheLookup>(&view.events[index].payload);
    if (lookup == nullptr || lookup->cache != cache || (lookup->walk && !best_is_walk)) continue;
    best = index;
    best_is_walk = lookup->walk;
  }
  if (!best) return std::nullopt;
  ShownLookup shown{.lookup = *best, .tft = {}, .twin = {}};
  const auto& lookup = std::get<CacheLookup>(view.events[*best].payload);
  for (std::size_t index = *best; index-- > 0;) {
    const auto* tft = std::get_if<TftLookup>(&view.events[index].payload);
    if (tft == nullptr) continue;
    if (tft->virtual_address == lookup.virtual_address) shown.tft = index;
    break;
  }
  const std::string twin = view.caches.twin ? view.caches.twin->config.name : std::string();
  for (std::size_t index = *best + 1; index < view.events.size(); ++index) {
    const auto* other = std::get_if<CacheLookup>(&view.events[index].payload);
    if (other != nullptr && other->cache == cache) break;
    if (other == nullptr || other->cache != twin) continue;
    shown.twin = index;
    break;
  }
  return shown;
}

void CacheSetsView::show_moment(const Moment& moment) {
  moment_ = moment;
  shown_ = lookup_to_show(moment);
  const CacheSummary& l1d = moment.machine->caches.l1d;
  QString title;
  if (moment.machine->state != RunState::Empty) {
    title = QStringLiteral("%1 %2 · %3")
                .arg(QString::fromStdString(l1d.config.name), size_text(l1d.config.size),
                     organisation_name(l1d.config.organisation));
    if (moment.machine->caches.twin) title += tr(" beside VIPT · the same references");
  }
  emit title_changed(title);
  update();
}

const CacheLookup* CacheSetsView::lookup_of(std::optional<std::size_t> index) const {
  return index ? std::get_if<CacheLookup>(&moment_.machine->events[*index].payload) : nullptr;
}

void CacheSetsView::paint_address(QPainter& painter, const QRectF& box) const {
  const CacheSummary& l1d = moment_.machine->caches.l1d;
  const CacheLookup& lookup = *lookup_of(shown_->lookup);
  // The set and the partition come from the virtual address (VIPT, SEESAW), the tag from the physical one.
  const bool by_virtual = l1d.config.organisation != CacheOrganisation::Pipt && !lookup.walk;
  const std::uint64_t address = by_virtual ? lookup.virtual_address.value : lookup.physical_address.value;
  const AddressSplit split = split_address(address, l1d.config.line, l1d.sets, l1d.partitions);
  const double label = theme().px(104);
  draw_text(painter, {box.left(), box.top(), label, box.height()}, by_virtual ? tr("virtual") : tr("physical"),
            theme().words(14, QFont::DemiBold), theme().palette().muted);
  const double note = theme().px(220);
  const double gap = theme().px(4);
  const double width = std::max(0.0, box.width() - label - note - 3 * gap);
  struct Part {
    QString text;
    double share;
    QColor fill, line, ink;
  };
  const Palette& palette = theme().palette();
  const RoleColour& fast = theme().role(Role::Seesaw);
  const RoleColour& index = theme().role(Role::GuestUser);
  std::vector<Part> parts = {
      {tr("tag %1").arg(hex(lookup.physical_address.value >> (split.offset_bits + split.set_bits))), 0.42,
       theme().tint(Role::Hardware, 0.16), theme().role(Role::Hardware).mark, palette.text}};
  if (split.partition_bits != 0) {
    parts.push_back({tr("P %1").arg(split.partition), 0.1, theme().tint(Role::Seesaw, 0.16), fast.mark, fast.text});
  }
  parts.push_back(
      {tr("set %1").arg(hex(split.set)), 0.26, theme().tint(Role::GuestUser, 0.14), index.mark, index.text});
  parts.push_back({tr("offset %1").arg(hex(split.offset)), 0.22, theme().tint(Role::Hardware, 0.16),
                   theme().role(Role::Hardware).mark, palette.text});
  double whole = 0;
  for (const Part& part : parts) whole += part.share;
  double x = box.left() + label;
  for (const Part& part : parts) {
    const QRectF piece(x, box.top(), width * part.share / whole, box.height());
    draw_box(painter, piece, part.fill, part.line, 1.5, 4);
    draw_text(painter, piece.adjusted(2, 0, -2, 0), part.text, theme().mono(14, QFont::DemiBold), part.ink,
              Qt::AlignCenter);
    x = piece.right() + gap;
  }
  const unsigned low = split.offset_bits + split.set_bits;
  const QString page =
      QString::fromUtf8(name_of(lookup.page_size).data(), static_cast<qsizetype>(name_of(lookup.page_size).size()));
  QString says = tr("%1 page").arg(page);
  if (split.partition_bits != 0) {
    says = page_shift(lookup.page_size) >= low + split.partition_bits
               ? tr("%1 page: bit %2 is offset").arg(page).arg(low)
               : tr("%1 page: bit %2 is translated").arg(page).arg(low);
  }
  draw_text(painter, {x + theme().px(8), box.top(), box.right() - x - theme().px(8), box.height()},
            lookup.walk ? tr("a page walker's reference") : says, theme().words(14, QFont::DemiBold),
            split.partition_bits != 0 ? fast.text : palette.muted);
}

void CacheSetsView::paint_tft(QPainter& painter, const QRectF& box) const {
  const Palette& palette = theme().palette();
  draw_box(painter, box, palette.surface, palette.line);
  const double pad = theme().px(12);
  QRectF line = box.adjusted(pad, theme().px(4), -pad, 0);
  line.setHeight(theme().px(26));
  draw_text(painter, line, tr("Translation filter table"), theme().words(14, QFont::DemiBold), palette.muted);
  const auto* lookup =
      shown_ && shown_->tft ? std::get_if<TftLookup>(&moment_.machine->events[*shown_->tft].payload) : nullptr;
  const auto& entries = moment_.machine->caches.tft;
  const TableFlow flow = table_flow({box.left() + theme().px(6), line.bottom(), box.width() - theme().px(12),
                                     box.bottom() - line.bottom() - theme().px(4)},
                                    entries.size(), lookup != nullptr ? lookup->index : 0, theme().zoom());
  for (std::size_t index = flow.first; index < flow.first + flow.rows.size(); ++index) {
    const QRectF& row = flow.rows[index - flow.first];
    const bool asked = lookup != nullptr && lookup->index == index;
    if (asked) draw_box(painter, row, theme().tint(Role::Seesaw, 0.14), theme().role(Role::Seesaw).mark, 1.5, 4);
    QString text = QStringLiteral("%1  ").arg(index, 2) +
                   (entries[index].valid != 0 ? hex(entries[index].region << 21) : QStringLiteral("–"));
    if (asked) text += lookup->hit ? tr("  ◀ ✓ hit") : tr("  ◀ ✗ miss");
    draw_text(painter, row.adjusted(theme().px(6), 0, -theme().px(6), 0), text,
              theme().mono(14, asked ? QFont::DemiBold : QFont::Normal),
              asked ? theme().role(Role::Seesaw).text : palette.text);
  }
}

void CacheSetsView::paint_cache(QPainter& painter, const QRectF& box, const CacheSummary& cache,
                                std::optional<std::size_t> index, bool seesaw) const {
  const Palette& palette = theme().palette();
  const CacheLookup* lookup = lookup_of(index);
  const Role role = seesaw ? Role::Seesaw : Role::Hardware;
  const RoleColour& colour = theme().role(role);
  QRectF line = box;
  line.setHeight(theme().px(24));
  QString name = organisation_name(cache.config.organisation);
  if (lookup != nullptr) {
    const bool all = lookup->ways_probed >= cache.config.ways;
    unsigned first = 0;
    while (first < cache.config.ways && (lookup->ways_probed_mask >> first & 1) == 0) ++first;
    name += all ? tr(" · every way of set %1").arg(lookup->set)
                : tr(" · partition %1 only, set %2")
                      .arg(first / (cache.config.ways / std::max(1U, cache.partitions)))
                      .arg(lookup->set);
  }
  draw_text(painter, line, name, theme().words(14, QFont::Bold), palette.text);
  const QRectF ways_row(box.left(), line.bottom() + theme().px(4), box.width(),
                        std::max(theme().px(36), box.height() - theme().px(56)));
  const std::vector<QRectF> boxes = way_boxes(ways_row, cache.config.ways, cache.partitions, theme().px(6));
  for (std::size_t way = 0; way < boxes.size(); ++way) {
    const bool probed = lookup != nullptr && (lookup->ways_probed_mask >> way & 1) != 0;
    const bool hit = probed && lookup->hit && lookup->way == way;
    if (probed)
      draw_box(painter, boxes[way], theme().tint(role, 0.24), colour.mark, hit ? 3 : 1.5);
    else
      draw_dashed_box(painter, boxes[way], palette.muted);
    QRectF text = boxes[way].adjusted(2, 2, -2, -2);
    const QRectF upper(text.left(), text.top(), text.width(), text.height() / 2);
    const QRectF lower(text.left(), text.center().y(), text.width(), text.height() / 2);
    const QColor ink = probed ? colour.text : palette.muted;
    draw_text(painter, upper, tr("way %1").arg(way), theme().words(13), ink, Qt::AlignCenter);
    const QString state = hit                 ? tr("✓ HIT")
                          : lookup == nullptr ? QStringLiteral("–")
                          : probed            ? tr("probed")
                                              : tr("off");
    draw_text(painter, lower, state, theme().words(14, hit ? QFont::Bold : QFont::Normal), ink, Qt::AlignCenter);
  }
  QString result = tr("no lookup in this step");
  if (lookup != nullptr) {
    result = tr("%1 ways · %2 cycles · %3 nJ · %4")
                 .arg(lookup->ways_probed)
                 .arg(lookup->latency)
                 .arg(static_cast<double>(lookup->energy), 0, 'f', 4)
                 .arg(lookup->hit ? tr("✓ hit in way %1").arg(lookup->way) : tr("✗ miss"));
  }
  draw_text(painter, {box.left(), ways_row.bottom() + theme().px(2), box.width(), theme().px(24)}, result,
            theme().words(14), palette.text);
}

void CacheSetsView::paint_cases(QPainter& painter, const QRectF& box) const {
  const SeesawCounters& counts = moment_.machine->caches.seesaw;
  const std::uint64_t all =
      counts.superpage_tft_hit_l1_hit + counts.superpage_tft_hit_l1_miss + counts.superpage_tft_miss + counts.base_page;
  const unsigned ways = moment_.machine->caches.l1d.config.ways;
  const unsigned some = ways / std::max(1U, moment_.machine->caches.l1d.partitions);
  struct Case {
    QString name, ways;
    std::uint64_t count;
    bool fast;
  };
  const std::array<Case, 4> cases = {
      {{tr("superpage, TFT hit, L1 hit"), tr("%1 ways, fast").arg(some), counts.superpage_tft_hit_l1_hit, true},
       {tr("superpage, TFT hit, L1 miss"), tr("%1 ways").arg(some), counts.superpage_tft_hit_l1_miss, true},
       {tr("superpage, TFT miss"), tr("%1 ways").arg(ways), counts.superpage_tft_miss, false},
       {tr("base page"), tr("%1 ways").arg(ways), counts.base_page, false}}};
  QRectF line = box;
  line.setHeight(theme().px(24));
  draw_text(painter, line, tr("This run · %1 data references").arg(grouped(all)), theme().words(14, QFont::DemiBold),
            theme().palette().muted);
  const double height = std::min(theme().px(34), (box.height() - line.height()) / 4);
  for (std::size_t index = 0; index < cases.size(); ++index) {
    const Case& entry = cases[index];
    const QRectF row(box.left(), line.bottom() + static_cast<double>(index) * height, box.width(),
                     height - theme().px(4));
    const double share = all == 0 ? 0 : static_cast<double>(entry.count) / static_cast<double>(all);
    draw_box(painter, row, theme().palette().surface, theme().palette().line, 1, 4);
    const Role role = entry.fast ? Role::Seesaw : Role::Hardware;
    if (share > 0)
      draw_box(painter, {row.left(), row.top(), row.width() * share, row.height()}, theme().tint(role, 0.22),
               theme().palette().line, 1, 4);
    const QRectF text = row.adjusted(theme().px(12), 0, -theme().px(12), 0);
    draw_text(painter, {text.left(), text.top(), text.width() * 0.5, text.height()}, entry.name, theme().words(14),
              theme().palette().text);
    draw_text(painter, {text.left() + text.width() * 0.52, text.top(), text.width() * 0.25, text.height()}, entry.ways,
              theme().words(14), theme().palette().muted);
    draw_text(painter, text, all == 0 ? QStringLiteral("–") : percent(share), theme().mono(14, QFont::DemiBold),
              theme().palette().text, Qt::AlignRight | Qt::AlignVCenter);
  }
}

void CacheSetsView::paint_totals(QPainter& painter, const QRectF& box) const {
  const CacheHierarchyView& caches = moment_.machine->caches;
  const CacheCounters& own = caches.l1d.counters;
  const std::uint64_t accesses = own.reads + own.writes;
  QRectF line = box;
  line.setHeight(theme().px(22));
  draw_text(painter, line, tr("ways probed per access"), theme().words(14), theme().palette().muted);
  line.translate(0, line.height());
  line.setHeight(theme().px(36));
  const RoleColour& colour = theme().role(Role::Seesaw);
  const QString mean =
      accesses == 0 ? QStringLiteral("–")
                    : QString::number(static_cast<double>(own.ways_probed) / static_cast<double>(accesses), 'f', 2);
  const double x = draw_text(painter, line, mean, theme().mono(28, QFont::Bold), colour.text);
  draw_text(painter, line.adjusted(x + theme().px(12), 0, 0, 0), tr("of %1").arg(caches.l1d.config.ways),
            theme().words(16), theme().palette().muted);
  if (!caches.twin || caches.twin->counters.energy <= 0) return;
  line.translate(0, line.height() + theme().px(4));
  line.setHeight(theme().px(22));
  draw_text(painter, line, tr("energy saved in L1D"), theme().words(14), theme().palette().muted);
  line.translate(0, line.height());
  line.setHeight(theme().px(36));
  draw_text(painter, line, percent(1 - own.energy / caches.twin->counters.energy), theme().mono(28, QFont::Bold),
            colour.text);
}

void CacheSetsView::paint(QPainter& painter) {
  const MachineView& view = *moment_.machine;
  const double margin = theme().px(8);
  const double gap = theme().px(14);
  const double width = this->width() - 2 * margin;
  const double cases = theme().px(164);
  const double address = theme().px(34);
  double y = 0;
  if (shown_)
    paint_address(painter, {margin, y, width, address});
  else
    draw_text(painter, {margin, y, width, address}, tr("No data reference in this step"),
              theme().words(16, QFont::DemiBold), theme().palette().muted);
  y += address + gap;
  const double middle = std::max(theme().px(120), height() - y - gap - cases);
  const bool with_tft = !view.caches.tft.empty();
  const double tft = with_tft ? std::min(theme().px(330), width * 0.3) : 0;
  if (with_tft) paint_tft(painter, {margin, y, tft, middle});
  const double left = margin + (with_tft ? tft + 2 * gap : 0);
  const double right = width + margin - left;
  const double each = view.caches.twin ? (middle - gap) / 2 : std::min(middle, theme().px(150));
  paint_cache(painter, {left, y, right, each}, view.caches.l1d, shown_ ? std::optional(shown_->lookup) : std::nullopt,
              is_seesaw());
  if (view.caches.twin)
    paint_cache(painter, {left, y + each + gap, right, each}, *view.caches.twin, shown_ ? shown_->twin : std::nullopt,
                false);
  const double totals = theme().px(200);
  if (!is_seesaw()) {
    // Nothing stands between the ways and the totals.
    y += (view.caches.twin ? middle : each) + gap;
    return paint_totals(painter, {margin, y, totals, height() - y});
  }
  y += middle + gap;
  paint_cases(painter, {margin, y, width - totals - 2 * gap, height() - y});
  paint_totals(painter, {margin + width - totals, y, totals, height() - y});
}

}  // namespace shearling::gui
