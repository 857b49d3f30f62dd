#include "datasets/inspect.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bytes/file_kind.h"
#include "core/status.h"
#include "datasets/assembly/names.h"
#include "datasets/official/pickle_report.h"
#include "datasets/tables/array_table.h"
#include "datasets/tables/utterance_csv.h"

namespace cmerc {
namespace {

using datasets::ArrayTable;

constexpr size_t kHeadSize = 4096;
constexpr size_t kShownIds = 3;
constexpr char kIndent[] = "      ";

FileKind KindOf(const std::string& path) {
  std::string head(kHeadSize, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return FileKindOf(head);
}

bool IsFolder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Returns the modality that the name of a file suggests.
std::string ModalityOf(const std::string& path) {
  const std::string base = BaseName(std::string(absl::StripSuffix(path, "/")));
  const std::string name = absl::AsciiStrToLower(base);
  const std::map<std::string, std::vector<std::string>> words = {
      {"text", {"text", "bert", "glove", "gpt", "sentence"}},
      {"audio", {"audio", "wav", "acoustic", "hubert", "smile", "speech"}},
      {"visual", {"visual", "video", "vision", "face", "manet", "clip", "densenet", "resnet"}}};
  for (const auto& [modality, parts] : words) {
    for (const std::string& part : parts) {
      if (absl::StrContains(name, part)) return modality;
    }
  }
  return base;
}

// Returns the split that the name of a file suggests, as a config has it.
std::string SplitOf(const std::string& path) {
  const std::string name = absl::AsciiStrToLower(BaseName(path));
  if (absl::StrContains(name, "test")) return "TEST";
  return absl::StrContains(name, "dev") || absl::StrContains(name, "val") ? "VALID" : "TRAIN";
}

// Gathers what is said of each file, and the block of a config.
class Inspector {
 public:
  absl::Status Inspect(const std::string& path) {
    if (IsFolder(path)) return InspectArrays(path);
    switch (KindOf(path)) {
      case FileKind::kNpz:
        return InspectArrays(path);
      case FileKind::kMeldCsv:
      case FileKind::kCsv:
        return InspectCsv(path);
      default:
        return InspectPickle(path);
    }
  }

  std::string Text() const {
    const std::string options = absl::StrCat(main_, modalities_);
    if (options.empty()) return text_;
    return absl::StrCat(text_, "\nin a config, where it says so after a look at it:\n",
                        "data {\n  dataset {\n    "
                        "[type.googleapis.com/cmerc.OfficialPicklesOptions] {\n",
                        options, "    }\n  }\n}\n");
  }

 private:
  void Add(const std::string& text) { absl::StrAppend(&text_, text_.empty() ? "" : "\n", text); }

  void AddModality(const std::string& path) {
    absl::StrAppend(&modalities_, kIndent, "modality_files { modality: \"",
                    absl::Utf8SafeCEscape(ModalityOf(path)), "\" file: \"",
                    absl::Utf8SafeCEscape(path), "\" }  # modality by the file's name\n");
  }

  absl::Status InspectPickle(const std::string& path) {
    ASSIGN_OR_RETURN(const datasets::PickleReport report, datasets::ReportOnPickle(path, kIndent));
    Add(report.text);
    if (report.is_modality) AddModality(path);
    absl::StrAppend(&main_, report.options);
    return absl::OkStatus();
  }

  absl::Status InspectArrays(const std::string& path) {
    ASSIGN_OR_RETURN(const std::unique_ptr<ArrayTable> table, ArrayTable::Open(path));
    std::string text = absl::StrCat(path, "  ", IsFolder(path) ? "a folder" : "a file", " of ",
                                    table->ids().size(), " arrays by id\n");
    for (size_t i = 0; i < std::min(kShownIds, table->ids().size()); ++i) {
      const std::string& id = table->ids()[i];
      absl::StrAppend(&text, "  '", absl::Utf8SafeCHexEscape(id), "'  ", table->Describe(id), "\n");
    }
    Add(text);
    AddModality(path);
    return absl::OkStatus();
  }

  absl::Status InspectCsv(const std::string& path) {
    ASSIGN_OR_RETURN(const datasets::UtteranceCsv csv,
                     datasets::ReadUtteranceCsv(path, datasets::CsvLabel::kEmotion));
    std::map<std::string, int64_t> labels;
    std::map<std::string, int64_t> speakers;
    int64_t utterances = 0;
    for (const datasets::CsvConversation& conversation : csv.conversations) {
      for (const datasets::CsvUtterance& utterance : conversation.utterances) {
        ++labels[utterance.label.empty() ? "(none)" : utterance.label];
        ++speakers[utterance.speaker];
        ++utterances;
      }
    }
    const auto count = [](std::string* out, const auto& entry) {
      absl::StrAppend(out, entry.first, " ", entry.second);
    };
    Add(absl::StrCat(path, "  utterances as CSV: ", csv.conversations.size(), " conversations, ",
                     utterances, " utterances, ", speakers.size(), " speakers\n  emotions  ",
                     absl::StrJoin(labels, ", ", count), "\n",
                     csv.warning.empty() ? "" : absl::StrCat("  warning: ", csv.warning, "\n")));
    absl::StrAppend(&main_, kIndent, "utterances_csv { split: ", SplitOf(path), " file: \"",
                    absl::Utf8SafeCEscape(path), "\" }  # split by the file's name\n");
    return absl::OkStatus();
  }

  std::string text_;
  std::string main_;
  std::string modalities_;
};

}  // namespace

bool HoldsConversations(const std::string& path) {
  if (IsFolder(path)) return false;
  const FileKind kind = KindOf(path);
  if (kind == FileKind::kNpz) {
    const absl::StatusOr<std::unique_ptr<ArrayTable>> table = ArrayTable::Open(path);
    return table.ok() && (*table)->Has("lengths") && (*table)->Has("ids");
  }
  return kind == FileKind::kRecords || kind == FileKind::kJson;
}

absl::StatusOr<std::string> InspectFiles(const std::vector<std::string>& paths) {
  Inspector inspector;
  for (const std::string& path : paths) RETURN_IF_ERROR(inspector.Inspect(path));
  return inspector.Text();
}

}  // namespace cmerc
