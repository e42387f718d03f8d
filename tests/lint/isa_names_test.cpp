// SPDX-License-Identifier: GPL-3.0-or-later
//
// What serves every instruction set names none: events, machine, run files, exporters, lesson engine and the command
// line. Looks at code and texts, not at comments: those may give examples. The exceptions stand below with their
// reason.
#include <QDirIterator>
#include <QFile>
#include <QRegularExpression>
#include <QTest>

namespace {

const char* const kFolders[] = {"core/events", "core/machine", "core/run_file", "core/export",
                                "core/lesson", "app/cli",      "app/gui"};

/// Words that belong to one instruction set or to one vendor's virtualization.
const QRegularExpression& isa_words() {
  static const QRegularExpression words(
      R"(\b(x86\w*|i386|amd64|aarch64|arm|arm64|isa-x86|isa-arm|isa_x86|isa_arm|)"
      R"(eptp?|ept_\w+|vmcs\w*|vmcb|vmx\w*|vtx|vt-x|npt|amd-v|stage_?2|el[0-3]|el[0-3]_\w+|\w+_el[0-3]|)"
      R"(cr[0-48]|[gil]dtr?|pml4e|pdpte|rip|rax|rflags|eflags|cpuid|msr|ring[_ ]?[0-3]|rings|)"
      R"(pstate|spsr|esr|hcr|vbar|ttbr[01]?|gicv?[23]?|multiboot)\b)",
      QRegularExpression::CaseInsensitiveOption);
  return words;
}

struct Exception {
  const char* file;   // The end of its path.
  const char* words;  // Regular expression of what it may say.
  const char* reason;
};

const Exception kExceptions[] = {
    {"app/cli/main.cpp", R"(isa[-_](x86|arm)\b|\b(x86|arm)\b|register_(x86|arm)\b)", "the program registers its ISAs"},
    {"app/gui/main.cpp", R"(isa[-_](x86|arm)\b|\b(x86|arm)\b|register_(x86|arm)\b)", "so does the window"},
    {"app/cli/main.cpp", R"(--vmm vt-x|cpuid-trap|the_cpuid)", "examples in the help name guests and techniques"},
    {"app/cli/step.cpp", R"(the_cpuid)", "an example in a message names a place in a guest"},
    {"core/machine/machine_config.cpp", R"("vt-x"|"el2")", "techniques have one list of names, as --vmm takes them"},
    {"core/machine/machine_config.h", R"(\{ Bare, VtX, El2, TrapAndEmulate \})",
     "the same techniques as an enumeration"},
    {"core/machine/machine_config.h", R"("x86-64")", "what a description means that names no ISA"},
};

struct Line {
  QString file;
  int number = 0;
  QString text;  // Without its comment.
};

QList<Line> lines_below(const QString& folder) {
  QList<Line> found;
  const QDir root(QStringLiteral(SHEARLING_SOURCE_DIR));
  QDirIterator files(root.filePath(folder), {"*.h", "*.cpp"}, QDir::Files, QDirIterator::Subdirectories);
  while (files.hasNext()) {
    QFile file(files.next());
    if (!file.open(QIODevice::ReadOnly)) continue;
    for (int number = 1; !file.atEnd(); ++number) {
      const QString text = QString::fromUtf8(file.readLine()).section("//", 0, 0);
      found.append({root.relativeFilePath(file.fileName()), number, text});
    }
  }
  return found;
}

QString without_exceptions(const Line& line, QList<const Exception*>& used) {
  QString text = line.text;
  for (const Exception& exception : kExceptions) {
    if (!line.file.endsWith(QLatin1String(exception.file))) continue;
    const QString before = text;
    text.remove(QRegularExpression(exception.words, QRegularExpression::CaseInsensitiveOption));
    if (text != before && !used.contains(&exception)) used.append(&exception);
  }
  return text;
}

}  // namespace

class IsaNamesTest : public QObject {
  Q_OBJECT
 private slots:
  void what_serves_every_isa_names_none() {
    int seen = 0;
    QStringList found;
    QList<const Exception*> used;
    for (const char* folder : kFolders) {
      for (const Line& line : lines_below(folder)) {
        ++seen;
        const auto match = isa_words().match(without_exceptions(line, used));
        if (match.hasMatch())
          found.append(QStringLiteral("%1:%2 says '%3'").arg(line.file).arg(line.number).arg(match.captured()));
      }
    }
    QVERIFY2(seen > 5000, "the test looked at almost nothing: has the tree moved?");
    QVERIFY2(found.isEmpty(), qPrintable(found.join('\n')));
    for (const Exception& exception : kExceptions)
      QVERIFY2(
          used.contains(&exception),
          qPrintable(QStringLiteral("nobody needs the exception for %1: %2").arg(exception.file, exception.words)));
  }

  void the_words_are_found_where_they_stand() {
    for (const char* text : {"if (isa == \"x86-64\")", "VmcsField::Rip", "\"EL2\"", "state.ttbr0_el1",
                             "name == \"CR3\"", "aarch64", "\"ring 0\"", "MSR"})
      QVERIFY2(isa_words().match(text).hasMatch(), text);
    for (const char* text : {"alarm(4)", "string", "harm", "elf", "model2", "spring 3", "description"})
      QVERIFY2(!isa_words().match(text).hasMatch(), text);
  }
};

QTEST_APPLESS_MAIN(IsaNamesTest)
#include "isa_names_test.moc"
