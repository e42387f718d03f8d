// SPDX-License-Identifier: GPL-3.0-or-later
//
// The direction of dependencies, as a table: which top folder may include which, and which external libraries are
// confined to which folder. Looks at every #include of the tree.
#include <QDirIterator>
#include <QFile>
#include <QRegularExpression>
#include <QTest>

namespace {

struct FolderRule {
  const char* folder;
  QStringList may_include;  // Top folders, its own aside.
};

const FolderRule kFolders[] = {
    {"cache-sim", {}},
    {"core", {"cache-sim"}},
    {"isa-x86", {"core", "cache-sim"}},
    {"isa-arm", {"core", "cache-sim"}},
    {"app", {"isa-x86", "isa-arm", "core", "cache-sim"}},
};

struct LibraryRule {
  const char* header;      // Regular expression over what stands between < and >.
  QStringList allowed_in;  // Path prefixes.
};

const LibraryRule kLibraries[] = {
    {"^unicorn/", {"core/engine/"}},  {"^(Q[A-Z]|Qt)", {"app/gui/"}},          {"^qcustomplot", {"app/gui/"}},
    {"^sqlite3", {"core/run_file/"}}, {"^capstone", {"isa-x86/", "isa-arm/"}},
};

struct Include {
  QString file;
  int line = 0;
  QString target;
  bool quoted = false;
};

QList<Include> includes_below(const QString& folder) {
  static const QRegularExpression pattern(R"(^\s*#\s*include\s*(["<])([^">]+)[">])");
  QList<Include> found;
  const QDir root(QStringLiteral(SHEARLING_SOURCE_DIR));
  QDirIterator files(root.filePath(folder), {"*.h", "*.cpp"}, QDir::Files, QDirIterator::Subdirectories);
  while (files.hasNext()) {
    QFile file(files.next());
    if (!file.open(QIODevice::ReadOnly)) continue;
    for (int line = 1; !file.atEnd(); ++line) {
      const auto match = pattern.match(QString::fromUtf8(file.readLine()));
      if (!match.hasMatch()) continue;
      found.append({root.relativeFilePath(file.fileName()), line, match.captured(2), match.captured(1) == "\""});
    }
  }
  return found;
}

QString place(const Include& include) {
  return QStringLiteral("%1:%2 includes %3").arg(include.file).arg(include.line).arg(include.target);
}

QString top_folder(const QString& path) { return path.section('/', 0, 0); }

}  // namespace

class IncludeDirectionTest : public QObject {
  Q_OBJECT
 private slots:
  void folders_include_only_what_lies_below_them() {
    int seen = 0;
    for (const FolderRule& rule : kFolders) {
      for (const Include& include : includes_below(rule.folder)) {
        if (!include.quoted) continue;
        ++seen;
        const QString target = top_folder(include.target);
        const bool own = target == QLatin1String(rule.folder) || !include.target.contains('/');
        QVERIFY2(own || rule.may_include.contains(target), qPrintable(place(include)));
      }
    }
    QVERIFY2(seen > 100, "the test looked at almost nothing: has the tree moved?");
  }

  void libraries_stay_where_they_belong() {
    for (const FolderRule& rule : kFolders) {
      for (const Include& include : includes_below(rule.folder)) {
        if (include.quoted) continue;
        for (const LibraryRule& library : kLibraries) {
          if (!QRegularExpression(library.header).match(include.target).hasMatch()) continue;
          const bool allowed = std::any_of(library.allowed_in.begin(), library.allowed_in.end(),
                                           [&](const QString& prefix) { return include.file.startsWith(prefix); });
          QVERIFY2(allowed, qPrintable(place(include)));
        }
      }
    }
  }
};

QTEST_APPLESS_MAIN(IncludeDirectionTest)
#include "include_direction_test.moc"
