// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/stage_view.h"

#include <QCoreApplication>
#include <QVariantAnimation>

#include "app/gui/paint.h"
#include "app/gui/rows.h"
#include "app/gui/table_views.h"
#include "core/events/reflection.h"

namespace shearling::gui {
namespace {

constexpr int kMovementMilliseconds = 180;

QString text_of(std::string_view text) { return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())); }

Crossing::Place place_of(Actor actor) {
  if (actor == Actor::GuestUser) return Crossing::Place::User;
  return actor == Actor::Vmm ? Crossing::Place::Vmm : Crossing::Place::Kernel;
}

/// Who ran the instruction of the shown step.
Actor runner_of(const MachineView& view) {
  for (const Event& event : view.events) {
    if (std::holds_alternative<InstructionFetched>(event.payload)) return view.actor_of(event.privilege);
  }
  const bool user = !view.events.empty() && view.events.front().actor == Actor::GuestUser;
  return user ? Actor::GuestUser : Actor::GuestKernel;
}

/// "CPU 1 of 2"; where the turn has passed on, both.
QString cpu_words(const MachineView& view) {
  if (view.cpu_count() == 1) return {};
  QString words = QCoreApplication::translate("Stage", "CPU %1 of %2").arg(view.cpu).arg(view.cpu_count());
  if (view.events.empty() || view.step_cpu == view.cpu) return words;
  return QCoreApplication::translate("Stage", "CPU %1 did this, next %2").arg(view.step_cpu).arg(words);
}

/// What the VMM does, without "VMM: " before it and its cost behind.
QString sentence_of(const Event& event) {
  QString text = QString::fromStdString(narrate(event)).section(QStringLiteral(": "), 1);
  return text.left(text.lastIndexOf(QStringLiteral(" (")));
}

/// The newest event of one kind among those that have happened.
template <typename Payload>
const Payload* newest(const Moment& moment) {
  const std::vector<Event>& events = moment.machine->events;
  for (std::size_t index = std::min(moment.happened(), events.size()); index-- > 0;) {
    if (const auto* payload = std::get_if<Payload>(&events[index].payload)) return payload;
  }
  return nullptr;
}

}  // namespace

std::optional<Crossing> crossing_of(const Moment& moment) {
  const MachineView& view = *moment.machine;
  const std::vector<Event>& events = view.events;
  const auto place = [&](std::uint8_t privilege) { return place_of(view.actor_of(privilege)); };
  std::optional<Crossing> crossing;
  const std::size_t happened = std::min(moment.happened(), events.size());
  for (std::size_t index = 0; index < happened; ++index) {
    const Event& event = events[index];
    if (const auto* exit = std::get_if<VmExit>(&event.payload)) {
      crossing = Crossing{place(event.privilege), Crossing::Place::Vmm,
                          QCoreApplication::translate("Stage", "VM exit · %1").arg(exit->reason)};
    } else if (const auto* entry = std::get_if<VmEntry>(&event.payload)) {
      // The whole step shown at once: the exit says more than the way back.
      if (moment.whole && crossing) continue;
      crossing = Crossing{
          Crossing::Place::Vmm, place_of(view.actor),
          entry->injects ? QCoreApplication::translate("Stage", "VM entry · injects %1").arg(entry->injected_vector)
                         : QCoreApplication::translate("Stage", "VM entry")};
    } else if (const auto* trap = std::get_if<TrapDelivered>(&event.payload)) {
      crossing = Crossing{place(trap->from_privilege), place(trap->to_privilege), text_of(trap->name)};
    } else if (const auto* back = std::get_if<TrapReturned>(&event.payload)) {
      crossing = Crossing{place(back->from_privilege), place(back->to_privilege), text_of(back->name)};
    }
  }
  return crossing;
}

StageView::StageView(QWidget* parent) : PaintedView(parent), animation_(new QVariantAnimation(this)) {
  animation_->setDuration(kMovementMilliseconds);
  animation_->setStartValue(0.0);
  animation_->setEndValue(1.0);
  connect(animation_, &QVariantAnimation::valueChanged, this, [this](const QVariant& value) {
    progress_ = value.toDouble();
    update();
  });
}

void StageView::show_moment(const Moment& moment) {
  const std::optional<Crossing> crossing = crossing_of(moment);
  const bool same = crossing == crossing_ && moment.machine->position == moment_.machine->position;
  moment_ = moment;
  crossing_ = crossing;
  if (crossing_ && !same && moves_) {
    animation_->stop();
    animation_->start();
  } else if (!same) {
    animation_->stop();
    progress_ = 1;
  }
  emit title_changed(moment.machine->state == RunState::Empty ? QString() : text_of(moment.machine->mode));
  setAccessibleDescription(moment.event() == nullptr ? QString() : QString::fromStdString(narrate(*moment.event())));
  update();
}

Actor StageView::actor_now() const {
  const Event* event = moment_.event();
  return moment_.whole || event == nullptr ? moment_.machine->actor : event->actor;
}

QString StageView::vmm_words() const {
  const Event* lit = moment_.event();
  const bool lit_is_action = !moment_.whole && lit != nullptr && std::holds_alternative<VmmAction>(lit->payload);
  if (lit_is_action) return sentence_of(*lit);
  QStringList actions;
  const std::size_t happened = std::min(moment_.happened(), moment_.machine->events.size());
  for (std::size_t index = 0; index < happened; ++index) {
    const Event& event = moment_.machine->events[index];
    const auto* action = std::get_if<VmmAction>(&event.payload);
    // That an exit is dispatched, "handle exit" says already.
    if (action != nullptr && action->name != "exit.dispatch") actions.push_back(sentence_of(event));
  }
  if (const auto* exit = newest<VmExit>(moment_)) {
    const QString handles = tr("handle exit %1 (%2)").arg(exit->reason).arg(text_of(exit->name));
    return actions.isEmpty() ? handles : handles + QStringLiteral(": ") + actions.join(QStringLiteral("; "));
  }
  return actions.isEmpty() ? tr("waits for the next VM exit") : actions.join(QStringLiteral("; "));
}

QString StageView::hardware_words() const {
  const MachineView& view = *moment_.machine;
  if (const auto* exit = newest<VmExit>(moment_)) {
    QString words = tr("%1 %2").arg(text_of(view.words().exit_reason)).arg(exit->reason);
    if (exit->instruction_length != 0) words += tr(" · instruction length %1").arg(exit->instruction_length);
    return words + QStringLiteral(" · %1 %2").arg(text_of(view.words().exit_address), hex(exit->guest_pc.value));
  }
  if (const auto* trap = newest<TrapDelivered>(moment_)) {
    QString words = text_of(view.words().trap_words);
    words.replace(QLatin1String("{vector}"), QString::number(trap->vector));
    words.replace(QLatin1String("{name}"), text_of(trap->name));
    return words + tr(" · handler %1 · stack %2").arg(hex(trap->handler.value), hex(trap->stack.value));
  }
  if (const auto* walk = newest<WalkEnd>(moment_)) {
    return tr("walk of %1: %2 references, %3 skipped · %4 cycles")
        .arg(hex(walk->virtual_address.value))
        .arg(walk->references)
        .arg(walk->skipped)
        .arg(walk->latency);
  }
  QString words = QStringLiteral("%1 · %2").arg(text_of(view.level_name(view.actor)), text_of(view.mode));
  const auto tally = [&](const QString& name, const auto& is_hit) {
    std::size_t hits = 0;
    std::size_t misses = 0;
    for (std::size_t index = 0; index < std::min(moment_.happened(), view.events.size()); ++index) {
      const std::optional<bool> hit = is_hit(view.events[index]);
      if (hit) ++(*hit ? hits : misses);
    }
    if (hits + misses != 0) words += tr(" · %1 ✓ %2 ✗ %3").arg(name).arg(hits).arg(misses);
  };
  tally(tr("TLB"), [](const Event& event) {
    const auto* lookup = std::get_if<TlbLookup>(&event.payload);
    return lookup == nullptr ? std::nullopt : std::optional(lookup->hit);
  });
  tally(tr("caches"), [](const Event& event) {
    const auto* lookup = std::get_if<CacheLookup>(&event.payload);
    return lookup == nullptr ? std::nullopt : std::optional(lookup->hit);
  });
  return words;
}

// A level of privilege where guest code runs.
void StageView::paint_level(QPainter& painter, const QRectF& box, Actor actor, const QString& name, bool lit) const {
  const MachineView& view = *moment_.machine;
  const Role role = role_of(actor);
  const RoleColour& colour = theme().role(role);
  draw_box(painter, box, lit ? theme().tint(role, 0.12) : theme().palette().surface, colour.mark, lit ? 3 : 1.5);
  const double pad = theme().px(14);
  const double line = std::clamp((box.height() - theme().px(8)) / 3, theme().px(19), theme().px(28));
  QRectF text = box.adjusted(pad, theme().px(4), -pad, 0);
  text.setHeight(line);
  const double took =
      draw_text(painter, text, name, theme().words(16, lit ? QFont::Bold : QFont::DemiBold), colour.text);
  const bool ran = !view.events.empty() && runner_of(view) == actor;
  const bool next = view.actor == actor && view.state != RunState::Ended;
  const QString symbol = QString::fromStdString(next ? view.symbol : view.instruction_symbol);
  if (next || ran) {
    draw_text(painter, text.adjusted(took + pad, 0, 0, 0), symbol, theme().mono(13), theme().palette().muted,
              Qt::AlignRight | Qt::AlignVCenter);
  }
  const auto code = [&](const QString& word, const QString& address, const QString& instruction, bool strong) {
    text.translate(0, line);
    if (text.bottom() > box.bottom() - 1) return;
    const double indent = word.isEmpty() ? 0 : theme().px(44);
    draw_text(painter, text, word, theme().words(13), theme().palette().muted);
    const QFont font = theme().mono(strong ? 16 : 14, strong ? QFont::DemiBold : QFont::Normal);
    const QString both = address.isEmpty() ? instruction : address + QStringLiteral("  ") + instruction;
    // Where it is narrow, what is done says more than where.
    const bool fits = QFontMetricsF(font).horizontalAdvance(both) <= text.width() - indent;
    draw_text(painter, text.adjusted(indent, 0, 0, 0), fits || instruction.isEmpty() ? both : instruction, font,
              strong ? theme().palette().text : theme().palette().muted);
  };
  const QString upcoming = view.disassembly.empty() ? QString() : QString::fromStdString(view.disassembly.front().text);
  const bool room_for_both = text.bottom() + 2 * line <= box.bottom() - 1;
  const bool says_next = next && moment_.whole && (room_for_both || !ran || !crossing_);
  if (ran && (room_for_both || !says_next))
    code(tr("did"), hex(view.instruction_pc.value), QString::fromStdString(view.instruction), !says_next);
  if (says_next) code(tr("next"), hex(view.pc.value), upcoming, true);
  if (!ran && !next) code(QString(), QString(), tr("waiting"), false);
}

void StageView::paint_guest(QPainter& painter, const StageLayout& layout) const {
  const MachineView& view = *moment_.machine;
  const RoleColour& kernel = theme().role(Role::GuestKernel);
  draw_box(painter, layout.guest, theme().tint(Role::GuestKernel, 0.06), kernel.mark, 1.5);
  QRectF title = layout.guest.adjusted(theme().px(14), theme().px(4), -theme().px(14), 0);
  title.setHeight(theme().px(26));
  const bool ended = view.state == RunState::Ended;
  const bool failed = ended && !ended_well(view.stop);
  const QString words = tr("GUEST · %1").arg(ended ? end_words(view.stop) : text_of(view.words().guest));
  const double took =
      draw_text(painter, title, words, theme().words(13, QFont::Bold), failed ? theme().palette().bad : kernel.text);
  draw_text(painter, title.adjusted(took + theme().px(14), 0, 0, 0), cpu_words(view), theme().words(13, QFont::Bold),
            kernel.text, Qt::AlignRight | Qt::AlignVCenter);
  const Actor actor = actor_now();
  const auto level = [&](const QRectF& box, Actor of, const QString& what) {
    const QString name = QStringLiteral("%1  %2").arg(text_of(view.level_name(of)), what);
    paint_level(painter, box, of, name, !ended && actor == of);
  };
  level(layout.user, Actor::GuestUser, tr("user"));
  level(layout.kernel, Actor::GuestKernel, tr("kernel"));
}

// The level between guest and hardware: a VMM of ours, the guest's own, or nobody.
void StageView::paint_vmm(QPainter& painter, const QRectF& box) const {
  const MachineView& view = *moment_.machine;
  const QString title = tr("VMM · %1").arg(text_of(view.words().vmm));
  const bool lit = actor_now() == Actor::Vmm;
  if (view.guest_is_vmm()) return paint_level(painter, box, Actor::Vmm, title, lit && view.state != RunState::Ended);
  if (view.has_vmm()) return paint_band(painter, box, Role::Vmm, title, vmm_words(), lit);
  draw_dashed_box(painter, box, theme().palette().muted);
  draw_text(painter, box, text_of(view.words().without_vmm), theme().words(14), theme().palette().muted,
            Qt::AlignCenter);
}

void StageView::paint_band(QPainter& painter, const QRectF& box, Role role, const QString& title, const QString& text,
                           bool lit) const {
  const RoleColour& colour = theme().role(role);
  draw_box(painter, box, theme().tint(role, lit ? 0.2 : 0.1), colour.mark, lit ? 3 : 1.5);
  const double pad = theme().px(14);
  QRectF line = box.adjusted(pad, theme().px(6), -pad, 0);
  line.setHeight(theme().px(24));
  const double took = draw_text(painter, line, title, theme().words(13, QFont::Bold), colour.text);
  const bool fits_below = box.height() >= theme().px(60);
  if (fits_below) {
    line.translate(0, theme().px(26));
    line.setHeight(std::min(box.bottom() - line.top() - 2, theme().px(48)));
  } else {
    line.setLeft(line.left() + took + pad);
  }
  const QFont font = role == Role::Hardware ? theme().mono(14) : theme().words(16);
  if (fits_below)
    draw_wrapped(painter, line, text, font, theme().palette().text);
  else
    draw_text(painter, line, text, font, theme().palette().text);
}

void StageView::paint_crossing(QPainter& painter, const StageLayout& layout) const {
  if (!crossing_) return;
  const double zoom = theme().zoom();
  const auto box_of = [&](Crossing::Place place) {
    return place == Crossing::Place::User ? layout.user : place == Crossing::Place::Kernel ? layout.kernel : layout.vmm;
  };
  const QRectF from = box_of(crossing_->from);
  const QRectF to = box_of(crossing_->to);
  const bool to_vmm = crossing_->to == Crossing::Place::Vmm;
  const bool from_vmm = crossing_->from == Crossing::Place::Vmm;
  const Role role = to_vmm ? Role::Vmm : crossing_->to == Crossing::Place::User ? Role::GuestUser : Role::GuestKernel;
  const QColor colour = theme().role(role).mark;
  const QFont font = theme().words(14, QFont::Bold);
  const double pill_width = QFontMetricsF(font).horizontalAdvance(crossing_->label) + 32 * zoom;
  const double pill_height = 26 * zoom;
  QPointF begin;
  QPointF end;
  QRectF pill;
  if (to_vmm != from_vmm) {
    const QRectF guest = to_vmm ? from : to;
    const double x = guest.center().x();
    begin = {x, to_vmm ? guest.bottom() : layout.vmm.top()};
    end = {x, to_vmm ? layout.vmm.top() : guest.bottom()};
    pill = {x + 20 * zoom, (guest.bottom() + layout.vmm.top() - pill_height) / 2, pill_width, pill_height};
  } else if (crossing_->from != crossing_->to) {
    const bool rightwards = from.center().x() < to.center().x();
    const double y = from.center().y() + 8 * zoom;
    begin = {rightwards ? from.right() - 6 * zoom : from.left() + 6 * zoom, y};
    end = {rightwards ? to.left() + 4 * zoom : to.right() - 4 * zoom, y};
    pill = {layout.guest.center().x() - pill_width / 2, layout.guest.bottom() - 10 * zoom, pill_width, pill_height};
  } else {
    begin = {to.center().x(), to.bottom() + 14 * zoom};
    end = {to.center().x(), to.bottom()};
    pill = {to.center().x() + 20 * zoom, to.bottom() - 2 * zoom, pill_width, pill_height};
  }
  pill.moveRight(std::min(pill.right(), layout.guest.right() - 8 * zoom));
  draw_arrow(painter, begin, begin + (end - begin) * progress_, colour, 5 * zoom);
  painter.setOpacity(progress_);
  draw_pill(painter, pill, crossing_->label, font, colour);
  painter.setOpacity(1);
}

void StageView::paint_narration(QPainter& painter, const QRectF& box) const {
  const MachineView& view = *moment_.machine;
  QString sentence;
  QString sign = QStringLiteral("·");
  Ink ink = Ink::Muted;
  if (!view.message.empty()) {
    sentence = QString::fromStdString(view.message);
    sign = QStringLiteral("!");
    ink = Ink::Notice;
  } else if (const Event* event = moment_.event()) {
    const EventFamily family = family_of(*event);
    sentence = QString::fromStdString(narrate(*event));
    sign = family.sign;
    ink = family.ink;
  } else if (view.state == RunState::Running) {
    sentence = tr("Running. F6 pauses.");
  } else {
    sentence = tr("Ready. F10 executes the first instruction, F11 goes into it, F5 runs.");
  }
  const double sign_width = theme().px(28);
  draw_text(painter, {box.left(), box.top(), sign_width, theme().px(26)}, sign, theme().words(16, QFont::Bold),
            text_colour(ink));
  draw_wrapped(painter, box.adjusted(sign_width, theme().px(2), 0, 0), sentence, theme().words(16, QFont::Medium),
               theme().palette().text);
}

void StageView::paint(QPainter& painter) {
  const StageLayout layout = stage_layout(size(), theme().zoom());
  paint_guest(painter, layout);
  paint_vmm(painter, layout.vmm);
  paint_band(painter, layout.hardware, Role::Hardware, tr("HARDWARE"), hardware_words(),
             actor_now() == Actor::Hardware && !moment_.whole);
  paint_crossing(painter, layout);
  paint_narration(painter, layout.narration);
}

}  // namespace shearling::gui
