// SPDX-License-Identifier: GPL-3.0-or-later
//
// The views that are tables: Registers, Control structure, Microscope, Source and disassembly, TLBs, Memory; and the
// guest's console.
#pragma once

#include "app/gui/table_view.h"
#include "app/gui/view.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QStackedLayout;
class QTabBar;

namespace shearling::gui {

/// A table, or where it has no rows, a sentence that says why.
class TableOrNote : public QWidget {
  Q_OBJECT
 public:
  TableOrNote(TableModel* model, int row_height, bool headings, QWidget* parent = nullptr);
  void set_rows(std::vector<Row> rows, const QString& note_when_empty);
  [[nodiscard]] TableView& table() { return *table_; }
  [[nodiscard]] const TableModel& model() const { return *model_; }

 private:
  TableModel* model_;
  TableView* table_;
  QLabel* note_;
  QStackedLayout* stack_;
};

class RegistersView : public View {
  Q_OBJECT
 public:
  explicit RegistersView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 private:
  void fill();
  TableOrNote* table_;
  QTabBar* choice_;
  QTabBar* cpu_;                         ///< The current core, or one of them; hidden where there is only one.
  std::optional<std::uint64_t> opened_;  ///< The register that was clicked: its fields have a second line.
  std::shared_ptr<const MachineView> machine_;
};

class ControlView : public View {
  Q_OBJECT
 public:
  explicit ControlView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 private:
  TableOrNote* table_;
};

class MicroscopeView : public View {
  Q_OBJECT
 public:
  explicit MicroscopeView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 signals:
  void detail_chosen(shearling::gui::Detail detail);

 private:
  TableOrNote* table_;
  QTabBar* detail_;
};

class CodeView : public View {
  Q_OBJECT
 public:
  explicit CodeView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 private:
  void fill();
  void clicked(quint64 key, int column);
  /// The address that a row stands for: of the disassembly its own, of the source the line's first.
  [[nodiscard]] std::optional<std::uint64_t> address_of(quint64 key) const;
  TableOrNote* table_;
  QTabBar* choice_;
  std::shared_ptr<const MachineView> machine_;
  bool shows_source_ = false;
};

class TlbsView : public View {
  Q_OBJECT
 public:
  explicit TlbsView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 private:
  void fill();
  TableOrNote* structures_;
  TableOrNote* table_;
  std::shared_ptr<const MachineView> machine_;
  std::size_t chosen_ = 0;
};

class MemoryView : public View {
  Q_OBJECT
 public:
  explicit MemoryView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;
  /// Shows memory at an address from now on.
  void go_to(AddressSpace space, std::uint64_t address);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void apply_entry();
  void fill();
  /// To where the guest begins, as long as nobody has asked for another place.
  void go_to_start(const MachineView& view);
  QComboBox* space_;
  QLineEdit* address_;
  TableOrNote* table_;
  MemoryWindow wanted_;
  MemoryWindow shown_;
  MemoryWindow before_;
  StepIndex shown_step_ = 0;
  const Isa* shown_isa_ = nullptr;
  bool chosen_ = false;  ///< An address was asked for.
};

class ConsoleView : public View {
  Q_OBJECT
 public:
  explicit ConsoleView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;

 protected:
  void theme_changed() override;

 private:
  QPlainTextEdit* text_;
  std::shared_ptr<const std::string> shown_;
};

/// The sentence for a view that has nothing to show.
QString no_run_note();

}  // namespace shearling::gui
