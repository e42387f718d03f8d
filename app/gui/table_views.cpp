// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/table_views.h"

#include <algorithm>
#include <cmath>

#include <QComboBox>
#include <QCoreApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPlainTextEdit>
#include <QSignalBlocker>
#include <QStackedLayout>
#include <QTabBar>
#include <QVBoxLayout>

#include "app/gui/rows.h"

namespace shearling::gui {
namespace {

QTabBar* make_tabs(QWidget* parent, const QStringList& names) {
  auto* tabs = new QTabBar(parent);
  tabs->setExpanding(false);
  tabs->setFocusPolicy(Qt::NoFocus);
  tabs->setUsesScrollButtons(true);
  for (const QString& name : names) tabs->addTab(name);
  return tabs;
}

QVBoxLayout* make_column(QWidget* widget) {
  auto* layout = new QVBoxLayout(widget);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(4);
  return layout;
}

bool empty(const MachineView& view) { return view.state == RunState::Empty; }

QString no_control_note(const MachineView& view) {
  QStringList others;
  for (const VmmTechnique technique : view.isa->techniques()) {
    const std::string_view title = view.isa->technique_words(technique).title;
    if (technique != view.technique)
      others.push_back(QString::fromUtf8(title.data(), static_cast<qsizetype>(title.size())));
  }
  return QCoreApplication::translate("View",
                                     "There is no control structure: the guest runs on the bare machine.\n"
                                     "Choose %1 under Run, Technique.")
      .arg(others.join(QCoreApplication::translate("View", " or ")));
}

}  // namespace

QString no_run_note() {
  return QCoreApplication::translate("View", "Nothing is loaded.\nOpen a guest or a lesson (Ctrl+O).");
}

TableOrNote::TableOrNote(TableModel* model, int row_height, bool headings, QWidget* parent)
    : QWidget(parent),
      model_(model),
      table_(new TableView(model, row_height, headings, this)),
      note_(new QLabel(this)),
      stack_(new QStackedLayout(this)) {
  model->setParent(this);
  note_->setAlignment(Qt::AlignCenter);
  note_->setWordWrap(true);
  stack_->addWidget(table_);
  stack_->addWidget(note_);
  setMinimumHeight(48);
}

void TableOrNote::set_rows(std::vector<Row> rows, const QString& note_when_empty) {
  const bool none = rows.empty();
  model_->set_rows(std::move(rows));
  table_->fit_columns();
  note_->setText(note_when_empty);
  note_->setStyleSheet(QStringLiteral("color: %1;").arg(theme().palette().muted.name()));
  stack_->setCurrentWidget(none ? static_cast<QWidget*>(note_) : table_);
}

// --- registers
// --------------------------------------------------------------------------------------------------------

RegistersView::RegistersView(QWidget* parent)
    : View(parent),
      table_(new TableOrNote(new TableModel(register_columns()), 26, false, this)),
      choice_(make_tabs(this, {tr("essential"), tr("all")})),
      cpu_(make_tabs(this, {tr("current CPU")})) {
  auto* layout = make_column(this);
  layout->addWidget(table_);
  auto* line = new QHBoxLayout;
  line->addWidget(cpu_);
  line->addStretch(1);
  line->addWidget(choice_);
  layout->addLayout(line);
  connect(choice_, &QTabBar::currentChanged, this, &RegistersView::fill);
  connect(cpu_, &QTabBar::currentChanged, this, &RegistersView::fill);
  connect(&table_->table(), &TableView::row_clicked, this, [this](quint64 key, int) {
    opened_ = key;
    fill();
  });
}

void RegistersView::show_moment(const Moment& moment) {
  machine_ = moment.machine;
  const int cores = static_cast<int>(machine_->cpus.size());
  while (cpu_->count() > cores + 1) cpu_->removeTab(cpu_->count() - 1);
  while (cpu_->count() < cores + 1) cpu_->addTab(tr("CPU %1").arg(cpu_->count() - 1));
  cpu_->setVisible(cores > 1);
  emit title_changed(tr("what the guest believes | what the hardware holds"));
  fill();
}

void RegistersView::fill() {
  if (machine_ == nullptr) return;
  const auto choice = static_cast<RegisterChoice>(choice_->currentIndex());
  const int tab = cpu_->currentIndex();
  std::vector<Row> rows =
      register_rows(*machine_, choice, tab > 0 ? std::optional(static_cast<unsigned>(tab - 1)) : std::nullopt);
  const auto opened = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.key == opened_; });
  const auto place = static_cast<int>(opened - rows.begin());
  table_->set_rows(std::move(rows), no_run_note());
  table_->table().unfold(place);  // None, where the row is not among them.
}

// --- control structure
// ------------------------------------------------------------------------------------------------

ControlView::ControlView(QWidget* parent)
    : View(parent), table_(new TableOrNote(new TableModel(control_columns()), 24, true, this)) {
  make_column(this)->addWidget(table_);
}

void ControlView::show_moment(const Moment& moment) {
  const MachineView& view = *moment.machine;
  table_->set_rows(control_rows(view), empty(view) ? no_run_note() : no_control_note(view));
  const std::string_view name = view.words().control_structure;
  emit title_changed(view.control.empty() ? QString()
                                          : QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size())));
}

// --- microscope
// -------------------------------------------------------------------------------------------------------

MicroscopeView::MicroscopeView(QWidget* parent)
    : View(parent),
      table_(new TableOrNote(new TableModel(event_columns()), 26, false, this)),
      detail_(make_tabs(this, {tr("story"), tr("translation"), tr("everything")})) {
  detail_->setCurrentIndex(static_cast<int>(Detail::Main));
  detail_->setToolTip(tr("How much of a step is shown and stepped through with F11"));
  auto* layout = make_column(this);
  layout->addWidget(table_);
  layout->addWidget(detail_, 0, Qt::AlignRight);
  connect(&table_->table(), &TableView::row_clicked, this, [this](quint64 key, int) { emit event_chosen(key); });
  connect(detail_, &QTabBar::currentChanged, this,
          [this](int index) { emit detail_chosen(static_cast<Detail>(index)); });
}

void MicroscopeView::show_moment(const Moment& moment) {
  const MachineView& view = *moment.machine;
  QString note = tr("Nothing has been executed yet.\nStep with F10, or F11 to go into the step.");
  if (empty(view)) note = no_run_note();
  if (view.state == RunState::Running) note = tr("Running. Pause with F6.");
  std::vector<Row> rows = event_rows(moment);
  int lit = 0;
  while (lit < static_cast<int>(rows.size()) && rows[static_cast<std::size_t>(lit)].key != moment.cursor) ++lit;
  table_->set_rows(std::move(rows), note);
  table_->table().unfold(lit);
  table_->table().reveal(lit);
  emit title_changed(
      view.events.empty()
          ? QString()
          : tr("step %1 · %2").arg(grouped(view.events.front().step), QString::fromStdString(view.instruction)));
}

// --- source and disassembly
// -------------------------------------------------------------------------------------------

CodeView::CodeView(QWidget* parent)
    : View(parent),
      table_(new TableOrNote(new TableModel(code_columns()), 26, false, this)),
      choice_(make_tabs(this, {tr("source"), tr("disassembly")})) {
  auto* layout = make_column(this);
  layout->addWidget(table_);
  layout->addWidget(choice_, 0, Qt::AlignRight);
  connect(choice_, &QTabBar::currentChanged, this, &CodeView::fill);
  connect(&table_->table(), &TableView::row_clicked, this, &CodeView::clicked);
  table_->table().setContextMenuPolicy(Qt::CustomContextMenu);
  connect(&table_->table(), &QWidget::customContextMenuRequested, this, [this](const QPoint& place) {
    const QModelIndex index = table_->table().indexAt(place);
    const auto address = address_of(index.data(TableModel::KeyRole).toULongLong());
    if (!index.isValid() || !address) return;
    QMenu menu;
    menu.addAction(tr("Toggle breakpoint (F9)"), this, [this, address] { emit breakpoint_toggled(*address); });
    menu.addAction(tr("Run to here"), this, [this, address] { emit run_to_wanted(*address); });
    menu.addAction(tr("Show in Memory"), this,
                   [this, address] { emit address_chosen(AddressSpace::Virtual, *address); });
    menu.exec(table_->table().viewport()->mapToGlobal(place));
  });
}

void CodeView::show_moment(const Moment& moment) {
  machine_ = moment.machine;
  fill();
}

void CodeView::fill() {
  if (machine_ == nullptr) return;
  const bool has_source = machine_->source.line != 0 && machine_->source.text != nullptr;
  shows_source_ = choice_->currentIndex() == 0 && has_source;
  std::vector<Row> rows = shows_source_ ? source_rows(*machine_) : disassembly_rows(*machine_);
  int here = 0;
  const std::uint64_t key = shows_source_ ? machine_->source.line : machine_->pc.value;
  while (here < static_cast<int>(rows.size()) && rows[static_cast<std::size_t>(here)].key != key) ++here;
  table_->set_rows(std::move(rows), empty(*machine_) ? no_run_note() : tr("There is no code that can be read here."));
  table_->table().reveal(here);
  const QString file = QString::fromStdString(machine_->source.file).section(QLatin1Char('/'), -1);
  const QString place = QString::fromStdString(machine_->symbol);
  emit title_changed(shows_source_ ? file : place);
}

std::optional<std::uint64_t> CodeView::address_of(quint64 key) const {
  if (!shows_source_) return key;
  const auto addresses = machine_->source.lines->addresses(machine_->source.file, static_cast<unsigned>(key));
  return addresses.empty() ? std::nullopt : std::optional(addresses.front());
}

void CodeView::clicked(quint64 key, int column) {
  if (column > 1) return;
  if (const auto address = address_of(key)) emit breakpoint_toggled(*address);
}

// --- TLBs
// -------------------------------------------------------------------------------------------------------------

TlbsView::TlbsView(QWidget* parent)
    : View(parent),
      structures_(new TableOrNote(new TableModel(structure_columns()), 24, false, this)),
      table_(new TableOrNote(new TableModel(tlb_columns()), 24, true, this)) {
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  structures_->setFixedWidth(static_cast<int>(theme().px(226)));
  structures_->table().setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  connect(&theme(), &Theme::changed, this, [this] { structures_->setFixedWidth(static_cast<int>(theme().px(226))); });
  layout->addWidget(structures_, 0);
  layout->addWidget(table_, 1);
  connect(&structures_->table(), &TableView::row_clicked, this, [this](quint64 key, int) {
    chosen_ = static_cast<std::size_t>(key);
    fill();
  });
}

void TlbsView::show_moment(const Moment& moment) {
  machine_ = moment.machine;
  const MemoryPathCounters& counters = machine_->translation;
  emit title_changed(
      empty(*machine_) ? QString()
                       : tr("%1 lookups, %2 misses").arg(grouped(counters.tlb_lookups), grouped(counters.tlb_misses)));
  fill();
}

void TlbsView::fill() {
  if (machine_ == nullptr) return;
  structures_->setVisible(!empty(*machine_));
  if (empty(*machine_)) return table_->set_rows({}, no_run_note());
  std::vector<Row> structures = structure_rows(*machine_);
  chosen_ = std::min(chosen_, structures.size() - 1);
  structures[chosen_].tint = Ink::Hardware;
  structures_->set_rows(std::move(structures), {});
  table_->set_rows(tlb_rows(*machine_, chosen_), tr("This structure holds nothing yet."));
}

// --- memory
// -----------------------------------------------------------------------------------------------------------

MemoryView::MemoryView(QWidget* parent)
    : View(parent),
      space_(new QComboBox(this)),
      address_(new QLineEdit(this)),
      table_(new TableOrNote(new TableModel(memory_columns()), 24, false, this)),
      wanted_{AddressSpace::Virtual, 0x100000, {}} {
  space_->addItems({tr("virtual"), tr("guest-physical"), tr("physical")});
  address_->setPlaceholderText(tr("address, as 0x100000"));
  address_->setText(hex(wanted_.address));
  address_->setFont(theme().mono(13));
  address_->setStyleSheet(QStringLiteral("font-family: 'JetBrains Mono', monospace;"));
  address_->setAccessibleName(tr("Address shown in Memory"));
  auto* line = new QHBoxLayout;
  line->addWidget(space_);
  line->addWidget(address_, 1);
  auto* layout = make_column(this);
  layout->addLayout(line);
  layout->addWidget(table_);
  connect(space_, &QComboBox::currentIndexChanged, this, &MemoryView::apply_entry);
  connect(address_, &QLineEdit::editingFinished, this, &MemoryView::apply_entry);
}

// Memory begins elsewhere on another machine.
void MemoryView::go_to_start(const MachineView& view) {
  constexpr std::uint64_t kPage = 0x1000;
  wanted_.address = view.pc.value & ~(kPage - 1);
  address_->setText(hex(wanted_.address));
  emit windows_wanted({wanted_});
}

void MemoryView::apply_entry() {
  bool good = false;
  const std::uint64_t address = address_->text().trimmed().remove(QLatin1Char('_')).toULongLong(&good, 0);
  if (!good) {
    address_->setText(hex(wanted_.address));
    return;
  }
  wanted_ = {static_cast<AddressSpace>(space_->currentIndex()), address & ~std::uint64_t{15}, {}};
  chosen_ = true;
  emit windows_wanted({wanted_});
}

void MemoryView::go_to(AddressSpace space, std::uint64_t address) {
  const QSignalBlocker blocked(space_);
  space_->setCurrentIndex(static_cast<int>(space));
  address_->setText(hex(address));
  apply_entry();
}

void MemoryView::show_moment(const Moment& moment) {
  const MachineView& view = *moment.machine;
  if (empty(view)) {
    table_->set_rows({}, no_run_note());
    return;
  }
  if (view.isa != shown_isa_ && !chosen_) go_to_start(view);
  shown_isa_ = view.isa;
  if (view.memory.empty()) {
    emit windows_wanted({wanted_});
    return;
  }
  if (view.position != shown_step_) before_ = std::move(shown_);
  shown_ = view.memory.front();
  shown_step_ = view.position;
  fill();
}

void MemoryView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  fill();
}

// Sixteen bytes a row where their text fits beside them, else eight.
void MemoryView::fill() {
  constexpr int kWideRow = 19 + 50 + 20;
  const int character = QFontMetrics(theme().mono(13)).horizontalAdvance(QLatin1Char('0'));
  const std::size_t row_bytes = width() >= kWideRow * character ? 16 : 8;
  table_->set_rows(memory_rows(shown_, &before_, row_bytes), tr("Nothing is mapped at this address."));
}

// --- console
// ----------------------------------------------------------------------------------------------------------

ConsoleView::ConsoleView(QWidget* parent) : View(parent), text_(new QPlainTextEdit(this)) {
  text_->setReadOnly(true);
  text_->setFocusPolicy(Qt::ClickFocus);
  text_->setPlaceholderText(tr("The guest has printed nothing."));
  make_column(this)->addWidget(text_);
  ConsoleView::theme_changed();
}

void ConsoleView::theme_changed() {
  text_->setStyleSheet(
      QStringLiteral("font-family: 'JetBrains Mono', monospace; font-size: %1px;").arg(std::lround(theme().px(14))));
}

void ConsoleView::show_moment(const Moment& moment) {
  if (moment.machine->console == shown_) return;
  shown_ = moment.machine->console;
  text_->setPlainText(shown_ == nullptr ? QString() : QString::fromStdString(*shown_));
  text_->moveCursor(QTextCursor::End);
}

}  // namespace shearling::gui
