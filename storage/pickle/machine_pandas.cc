// pandas' objects, from the states that pandas 0.25 to 3 write.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

// Columns of a frame that have one type: an array [columns, rows], or [rows] of a series, and where
// among the columns each is.
struct Block {
  const Value* values;
  const Value* places;
};

bool IsOneOf(char kind, absl::string_view kinds) {
  return kinds.find(kind) != absl::string_view::npos;
}

// The blocks of a manager of blocks, as a state or as arguments say them. Empty: neither does.
std::vector<Block> BlocksOf(const Value& manager) {
  std::vector<Block> blocks;
  const Value* state = manager.state();
  if (state != nullptr && state->items().size() >= 4) {
    const Value* version = state->items()[3]->Find("0.14.1");
    const Value* listed = version != nullptr ? version->Find("blocks") : nullptr;
    if (listed == nullptr) return {};
    for (const Value* block : listed->items()) {
      const Value* values = block->Find("values");
      const Value* places = block->Find("mgr_locs");
      if (values == nullptr || places == nullptr) return {};
      blocks.push_back({values, places});
    }
    return blocks;
  }
  if (manager.args() == nullptr || manager.args()->items().empty()) return {};
  const Value* given = manager.args()->items()[0];
  for (const Value* block :
       given->kind() == Kind::kObject ? absl::MakeConstSpan(&given, 1) : given->items()) {
    if (!absl::EndsWith(block->global_name(), "._unpickle_block") ||
        block->args()->items().size() < 2) {
      return {};
    }
    blocks.push_back({block->args()->items()[0], block->args()->items()[1]});
  }
  return blocks;
}

// The numbers of a slice or an array of them, `count` of them, each in [0, limit); empty for
// anything else.
std::vector<int64_t> Places(const Value& value, int64_t count, int64_t limit) {
  std::vector<int64_t> places(count);
  if (value.kind() == Kind::kArray) {
    if (value.shape().size() != 1 || !value.CopyTo(absl::MakeSpan(places)).ok()) return {};
  } else {
    if (value.global_name() != "builtins.slice" || value.args()->items().size() != 3) return {};
    const Value& start = *value.args()->items()[0];
    const Value& step = *value.args()->items()[2];
    const bool sound = (start.is_none() || start.kind() == Kind::kInt) &&
                       (step.is_none() || step.kind() == Kind::kInt) && start.int_value() < limit &&
                       step.int_value() <= limit;
    if (!sound) return {};
    for (int64_t i = 0; i < count; ++i) {
      places[i] = start.int_value() + i * (step.is_none() ? 1 : step.int_value());
      if (places[i] >= limit) return {};
    }
  }
  for (const int64_t place : places) {
    if (place < 0 || place >= limit) return {};
  }
  return places;
}

// The member of a tuple or dict that is an array, and the one that is an object; nullptr for none.
struct Backing {
  const Value* array = nullptr;
  const Value* dtype = nullptr;
};

Backing BackingOf(const Value& state) {
  Backing backing;
  const auto take = [&](const Value* value) {
    if (value->kind() == Kind::kArray && backing.array == nullptr) backing.array = value;
    if (value->kind() == Kind::kObject && backing.dtype == nullptr) backing.dtype = value;
  };
  for (const Value* item : state.items()) take(item);
  for (const Value* item : state.values()) take(item);
  return backing;
}

}  // namespace

// pandas.core.indexes.base._new_Index(class, {"data": array, "name": ...})
Value* Machine::MakePandasIndex(absl::Span<const Value* const> args) {
  if (args.size() != 2 || args[0]->kind_ != Kind::kGlobal) return nullptr;
  Value* index = nullptr;
  if (const Value* data = args[1]->Find("data")) {
    if (data->kind_ != Kind::kArray || data->shape().size() != 1) return nullptr;
    index = New(Kind::kArray);
    index->data_ = data->data_;
  } else {
    const Value* const range[] = {args[1]->Find("start"), args[1]->Find("stop"),
                                  args[1]->Find("step")};
    if (std::count(std::begin(range), std::end(range), nullptr) > 0) return nullptr;
    index = MakeRange(range);
  }
  if (index == nullptr || index->data_.array == nullptr) return index;
  BecomeArray(index, *index->data_.array, args[0]->global_name());
  return index;
}

void Machine::InterpretPandas(Value* object) {
  const absl::string_view name = object->class_name();
  const absl::string_view last = name.substr(name.rfind('.') + 1);
  const Value& state = *object->data_.call->state;
  if (last == "Series" || last == "DataFrame") {
    const Value* manager = state.Find("_mgr");
    if (manager == nullptr) manager = state.Find("_data");
    if (manager == nullptr) return;
    return last == "Series" ? InterpretSeries(object, *manager) : InterpretFrame(object, *manager);
  }
  const Backing backing = BackingOf(state);
  if (backing.array == nullptr || backing.array->data_.array == nullptr) return;
  if (last == "Categorical") return InterpretCategorical(object, *backing.array, backing.dtype);
  // Arrays with a mask of what is missing.
  if (last == "IntegerArray" || last == "FloatingArray" || last == "BooleanArray") {
    const Value* data = state.Find("_data");
    const Value* mask = state.Find("_mask");
    if (data == nullptr || mask == nullptr || data->kind_ != Kind::kArray ||
        mask->kind_ != Kind::kArray || mask->dtype().kind != 'b' ||
        mask->raw_data().find_first_not_of('\0') != absl::string_view::npos) {
      return;
    }
    BecomeArray(object, *data->data_.array, name);
  } else if (absl::StartsWith(last, "StringArray") || last == "NumpyExtensionArray" ||
             last == "PandasArray") {
    BecomeArray(object, *backing.array->data_.array, name);
  }
}

void Machine::InterpretSeries(Value* object, const Value& manager) {
  const std::vector<Block> blocks = BlocksOf(manager);
  if (blocks.size() != 1) return;
  const Value& values = *blocks[0].values;
  if (values.kind_ != Kind::kArray || values.shape().size() != 1 || values.data_.array == nullptr) {
    return;
  }
  BecomeArray(object, *values.data_.array, object->class_name());
}

void Machine::InterpretFrame(Value* object, const Value& manager) {
  const std::vector<Block> blocks = BlocksOf(manager);
  int64_t rows = -1, columns = 0;
  bool whole_numbers = true;
  for (const Block& block : blocks) {
    const absl::Span<const int64_t> shape = block.values->shape();
    const DType dtype = block.values->dtype();
    if (block.values->kind_ != Kind::kArray || shape.size() != 2) return;
    if (rows >= 0 && shape[1] != rows) return;
    rows = shape[1];
    if (__builtin_add_overflow(columns, shape[0], &columns)) return;
    if (blocks.size() > 1 && !IsOneOf(dtype.kind, "iuf")) return;
    whole_numbers =
        whole_numbers && dtype.kind != 'f' && !(dtype.kind == 'u' && dtype.item_size == 8);
  }
  uint64_t cells;
  if (rows <= 0 || columns <= 0 ||
      __builtin_mul_overflow(static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), &cells) ||
      !HasRoom(16 * cells) || !Spend(cells)) {
    return;
  }
  Value::Array frame = {};
  auto* shape = arena_->New<int64_t>(2);
  shape[0] = rows;
  shape[1] = columns;
  const auto place = [&](const Block& block) {
    return Places(*block.places, block.values->shape()[0], columns);
  };
  if (blocks.size() == 1) {
    const std::vector<int64_t> places = place(blocks[0]);
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i] != static_cast<int64_t>(i)) return;
    }
    if (places.empty()) return;
    frame = *blocks[0].values->data_.array;
    frame.shape = shape;
    frame.fortran_order = !frame.fortran_order;
    if (frame.dtype.kind == 'O') {  // items are in C order always
      frame.items = arena_->New<const Value*>(cells);
      for (uint64_t i = 0; i < cells; ++i) {
        const uint64_t row = i / columns, column = i % columns;
        frame.items[i] = blocks[0].values->items()[column * rows + row];
      }
    }
    BecomeArray(object, frame, object->class_name());
    return;
  }
  char* data = arena_->New<char>(8 * cells);
  std::vector<bool> filled(columns, false);
  for (const Block& block : blocks) {
    const std::vector<int64_t> places = place(block);
    const auto copy = [&](auto zero) {
      std::vector<decltype(zero)> numbers(block.values->num_elements());
      if (places.empty() || !block.values->CopyTo(absl::MakeSpan(numbers)).ok()) return false;
      for (size_t i = 0; i < places.size(); ++i) {
        if (filled[places[i]]) return false;
        filled[places[i]] = true;
        for (int64_t row = 0; row < rows; ++row) {
          std::memcpy(data + 8 * (row * columns + places[i]), &numbers[i * rows + row], 8);
        }
      }
      return true;
    };
    if (!(whole_numbers ? copy(int64_t{0}) : copy(0.0))) return;
  }
  frame.dtype = {whole_numbers ? 'i' : 'f', false, 8};
  frame.shape = shape;
  frame.num_axes = 2;
  frame.num_elements = static_cast<int64_t>(cells);
  frame.data = data;
  frame.data_size = 8 * cells;
  BecomeArray(object, frame, object->class_name());
}

// Each element is a category by its number; -1 is none.
void Machine::InterpretCategorical(Value* object, const Value& codes, const Value* dtype) {
  const Value* state = dtype != nullptr ? dtype->state() : nullptr;
  const Value* categories = state != nullptr ? state->Find("categories") : nullptr;
  if (categories == nullptr || categories->kind_ != Kind::kArray ||
      categories->dtype().kind != 'O' || categories->shape().size() != 1 ||
      codes.shape().size() != 1 || !IsOneOf(codes.dtype().kind, "i")) {
    return;
  }
  const auto count = static_cast<uint64_t>(codes.num_elements());
  if (!HasRoom(16 * count) || !Spend(count)) return;
  std::vector<int64_t> numbers(count);
  if (!codes.CopyTo(absl::MakeSpan(numbers)).ok()) return;
  Value* none = New(Kind::kNone);
  Value::Array array = *codes.data_.array;
  array.dtype = {'O', false, 8};
  array.data = nullptr;
  array.data_size = 0;
  array.items = arena_->New<const Value*>(count);
  const absl::Span<const Value* const> names = categories->items();
  for (uint64_t i = 0; i < count; ++i) {
    if (numbers[i] < -1 || numbers[i] >= static_cast<int64_t>(names.size())) return;
    array.items[i] = numbers[i] < 0 ? none : names[numbers[i]];
  }
  BecomeArray(object, array, object->class_name());
}

}  // namespace cmerc::pickle
