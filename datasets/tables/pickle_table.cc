#include "datasets/tables/pickle_table.h"

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "core/shape.h"
#include "core/status.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {
namespace {

using pickle::Document;
using pickle::Kind;
using pickle::Value;

using Table = std::map<std::string, const Value*, std::less<>>;

// What one file may give: values of a pickle may be shared, so that a small one can hold any size.
constexpr int64_t kMostFloatsPerByte = 16, kFloatsBase = int64_t{1} << 18;

// Whether a value is an array of objects, in practice of arrays.
bool IsObjectArray(const Value& value) {
  return value.kind() == Kind::kArray && value.dtype().kind == 'O';
}

class PickleTable final : public ArrayTable {
 public:
  PickleTable(std::unique_ptr<Document> document, std::vector<std::string> ids, Table table)
      : ArrayTable(document->name(), std::move(ids)),
        document_(std::move(document)),
        table_(std::move(table)),
        floats_left_(static_cast<int64_t>(document_->measured_size()) * kMostFloatsPerByte +
                     kFloatsBase) {}

  bool Has(absl::string_view id) const override { return table_.find(id) != table_.end(); }

 private:
  const Value& ValueOf(absl::string_view id) const { return *table_.find(id)->second; }

  absl::Status WithoutPath(const absl::Status& status) const {
    return absl::Status(status.code(), absl::StripPrefix(absl::string_view(status.message()),
                                                         absl::StrCat(path(), ": ")));
  }

  // Returns the shape of numbers, or of lists of them.
  absl::StatusOr<std::vector<int64_t>> NumbersShape(const Value& value) const {
    absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(value);
    if (shape.ok()) return shape;
    return absl::InvalidArgumentError(absl::StrCat("is ", pickle::Describe(value),
                                                   ", want numbers (",
                                                   WithoutPath(shape.status()).message(), ")"));
  }

  absl::StatusOr<std::vector<int64_t>> FullShapeOf(absl::string_view id) const override {
    const Value& value = ValueOf(id);
    if (value.is_none()) return std::vector<int64_t>{0};
    if (!IsObjectArray(value)) return NumbersShape(value);
    std::vector<int64_t> shape(value.shape().begin(), value.shape().end());
    if (value.items().empty()) return shape;
    ASSIGN_OR_RETURN(const std::vector<int64_t> first, NumbersShape(*value.items()[0]));
    for (size_t i = 1; i < value.items().size(); ++i) {
      ASSIGN_OR_RETURN(const std::vector<int64_t> row, NumbersShape(*value.items()[i]));
      if (row == first) continue;
      return absl::InvalidArgumentError(absl::StrCat("has a row ", i, " of shape ",
                                                     ShapeString(row), ", want ",
                                                     ShapeString(first), " as in row 0"));
    }
    shape.insert(shape.end(), first.begin(), first.end());
    return shape;
  }

  absl::Status CopyAll(absl::string_view id, absl::Span<float> out) const override {
    if (counted_.insert(std::string(id)).second) {
      floats_left_ -= static_cast<int64_t>(out.size());
    }
    if (floats_left_ < 0) {
      return absl::InvalidArgumentError(
          "repeats objects so often that the data takes more than 64 times the file; write every "
          "array once");
    }
    const Value& value = ValueOf(id);
    if (!IsObjectArray(value)) {
      return WithoutPath(document_->CopyNumbers(value, out));
    }
    const size_t width = out.size() / value.items().size();
    for (const Value* row : value.items()) {
      RETURN_IF_ERROR(WithoutPath(document_->CopyNumbers(*row, out.first(width))));
      out.remove_prefix(width);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> DescribeIt(absl::string_view id) const override {
    return pickle::Describe(ValueOf(id));
  }

  const std::unique_ptr<Document> document_;
  const Table table_;
  mutable std::set<std::string, std::less<>> counted_;  // the ids that were copied
  mutable int64_t floats_left_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArrayTable>> OpenPickleTable(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Document> document, Document::Open(path));
  const Value& root = document->root();
  if (root.kind() != Kind::kDict) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds ", pickle::Describe(root), ", want a dict from id to array",
                     root.kind() == Kind::kTuple || root.kind() == Kind::kList
                         ? "; an official feature file is named in features_file or roberta_file"
                         : ""));
  }
  std::vector<std::string> ids;
  Table table;
  for (size_t i = 0; i < root.keys().size(); ++i) {
    const Value& key = *root.keys()[i];
    if (key.kind() == Kind::kInt) {
      ids.push_back(absl::StrCat(key.int_value()));
    } else {
      absl::StatusOr<absl::string_view> text = document->Text(key);
      if (!text.ok()) {
        return document->Error(
            key, absl::StrCat("the key of a table is ", pickle::Describe(key),
                              ", want the id of a conversation or utterance, text or a number"));
      }
      ids.emplace_back(*text);
    }
    if (!table.emplace(ids.back(), root.values()[i]).second) {
      return document->Error(key, absl::StrCat("there is an id ", absl::CHexEscape(ids.back()),
                                               " as text and as a number; keep one"));
    }
  }
  return std::make_unique<PickleTable>(std::move(document), std::move(ids), std::move(table));
}

}  // namespace cmerc::datasets
