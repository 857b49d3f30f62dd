#include "datasets/official/layout_guess.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "datasets/official/field_path.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;
using SightKind = FieldSight::Kind;
using Fields = OfficialPicklesOptions::Fields;
using Root = LayoutGuess::Root;

constexpr size_t kMostFields = 60;  // that are described

bool IsContainer(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple ||
         value.kind() == Kind::kArray;
}

bool IsListOfDicts(const Value& value) {
  return IsContainer(value) && !value.items().empty() && value.items()[0]->kind() == Kind::kDict;
}

const Value* FirstValue(const Value& dict) {
  return dict.values().empty() ? nullptr : dict.values()[0];
}

// Returns the key of a dict as a part of a path; empty where it can be none.
std::string KeyOf(const Value& key) {
  if (key.kind() == Kind::kString) return std::string(key.string());
  return key.kind() == Kind::kInt ? absl::StrCat(key.int_value()) : "";
}

// Whether the last part of a path holds one of these words, or is one of these letters.
bool Says(const FieldSight& sight, std::initializer_list<absl::string_view> words) {
  const size_t slash = sight.path.rfind('/');
  const std::string name =
      absl::AsciiStrToLower(slash == std::string::npos ? sight.path : sight.path.substr(slash + 1));
  return std::any_of(words.begin(), words.end(), [&](absl::string_view word) {
    return word.size() == 1 ? name == word : absl::StrContains(name, word);
  });
}

bool SaysTrain(const FieldSight& sight) { return Says(sight, {"train"}); }
bool SaysValid(const FieldSight& sight) { return Says(sight, {"val", "dev"}); }
bool SaysTest(const FieldSight& sight) { return Says(sight, {"test"}); }

bool IsFeatures(const FieldSight& sight) { return sight.kind == SightKind::kVectors; }
bool IsTexts(const FieldSight& sight) {
  return sight.kind == SightKind::kTexts || sight.kind == SightKind::kTokens;
}

// Guesses what each of the fields is.
class Guesser {
 public:
  Guesser(const pickle::Document& document, LayoutGuess* guess)
      : document_(document), guess_(*guess) {}

  void Guess() {
    GuessLabels();
    DropOtherLengths();
    GuessTexts();
    GuessFeatures();
    if (guess_.root == Root::kFields) GuessLists();
  }

 private:
  // Guesses the splits of a file of tables from its lists of conversations, which are noted.
  void GuessLists() {
    const Value* known = FirstTable();
    if (known == nullptr) return;
    Budget budget(document_.measured_size());
    std::vector<FieldSight*> lists;
    for (FieldSight& sight : guess_.sights) {
      const Value* value = FindField(document_.root(), sight.path);
      if (value == nullptr || !IsListOfIds(document_, *value, *known, &budget)) continue;
      absl::StrAppend(&sight.what, ": ids of conversations");
      lists.push_back(&sight);
    }
    Fields& fields = guess_.fields;
    std::vector<FieldSight*> unnamed;
    for (FieldSight* list : lists) {
      if (SaysTrain(*list) && !fields.has_train_ids()) {
        fields.set_train_ids(list->path);
      } else if (SaysTest(*list) && !fields.has_test_ids()) {
        fields.set_test_ids(list->path);
      } else if (SaysValid(*list) && !fields.has_valid_ids()) {
        fields.set_valid_ids(list->path);
      } else {
        unnamed.push_back(list);
      }
    }
    if (unnamed.empty() || unnamed.size() != lists.size()) {
      for (FieldSight* list : unnamed) AddUnused(*list);
      return;
    }
    GuessListsByOrder(unnamed);
  }

  void AddUnused(const FieldSight& list) {
    guess_.fields.add_unused(list.path);
    guess_.notes["unused"] = "a list of conversations; or is it a split?";
  }

  // Returns the first field that is a dict with conversations in it, nullptr where there is none.
  const Value* FirstTable() const {
    for (const FieldSight& sight : guess_.sights) {
      const Value* value = FindField(document_.root(), sight.path);
      if (value != nullptr && value->kind() == Kind::kDict && !sight.lengths.empty()) return value;
    }
    return nullptr;
  }

  // Returns the first field for which `holds`, and which is nothing else.
  FieldSight* FindSight(const std::function<bool(const FieldSight&)>& holds) {
    for (FieldSight& sight : guess_.sights) {
      if (!taken_[sight.path] && holds(sight)) return &sight;
    }
    return nullptr;
  }

  // Takes a field for one thing, so that it is nothing else.
  std::string Take(const FieldSight& sight) {
    taken_[sight.path] = true;
    return sight.path;
  }

  void GuessLabels() {
    FieldSight* labels = FindSight([](const FieldSight& sight) {
      return (sight.kind == SightKind::kNumbers || IsTexts(sight)) &&
             Says(sight, {"label", "emotion", "target", "y"}) && !Says(sight, {"sentiment"});
    });
    if (labels == nullptr) {
      for (FieldSight& sight : guess_.sights) {
        if (sight.kind != SightKind::kNumbers || Says(sight, {"speaker", "spk"})) continue;
        if (labels == nullptr || sight.distinct > labels->distinct) labels = &sight;
      }
    }
    if (labels == nullptr) return;
    guess_.fields.set_labels(Take(*labels));
    lengths_ = labels->lengths;
    std::string others;
    for (const FieldSight& sight : guess_.sights) {
      if (sight.kind != SightKind::kNumbers || taken_[sight.path]) continue;
      absl::StrAppend(&others, others.empty() ? "" : ", ", sight.path);
    }
    std::string& note = guess_.notes["labels"];
    if (!others.empty()) note = absl::StrCat("or is it ", others, "?");
    if (labels->smallest < 0) {
      absl::StrAppend(&note, note.empty() ? "" : " ",
                      labels->smallest == -1 ? "-1 is no label" : "some are below 0");
    }
  }

  // What has other numbers of entries than there are labels is not one per utterance.
  void DropOtherLengths() {
    for (FieldSight& sight : guess_.sights) {
      const bool is_table = !sight.lengths.empty() && sight.kind != SightKind::kNothing;
      if (!is_table || lengths_.empty() || sight.lengths == lengths_) continue;
      absl::StrAppend(&sight.what, "; not as many as labels");
      taken_[sight.path] = true;
    }
  }

  void GuessTexts() {
    Fields& fields = guess_.fields;
    // Each utterance has an id of its own, without blanks.
    if (FieldSight* ids = FindSight([](const FieldSight& sight) {
          return sight.kind == SightKind::kTexts && sight.distinct == sight.entries &&
                 sight.words == sight.entries && !Says(sight, {"sentence", "speaker"});
        })) {
      fields.set_ids(Take(*ids));
    }
    FieldSight* speakers = FindSight([](const FieldSight& sight) {
      return Says(sight, {"speaker", "spk"});
    });
    if (speakers == nullptr) {
      speakers = FindSight([](const FieldSight& sight) {
        return sight.kind == SightKind::kOneHot ||
               (sight.kind == SightKind::kTexts && 2 * sight.distinct <= sight.entries &&
                !Says(sight, {"sentence"}));
      });
    }
    if (speakers != nullptr) fields.set_speakers(Take(*speakers));
    if (!fields.has_labels()) {
      if (FieldSight* labels = FindSight([](const FieldSight& sight) {
            return sight.kind == SightKind::kTexts && 2 * sight.distinct <= sight.entries;
          })) {
        fields.set_labels(Take(*labels));
      }
    }
    if (FieldSight* sentences = FindSight(IsTexts)) fields.set_sentences(Take(*sentences));
  }

  void GuessFeatures() {
    std::vector<FieldSight*> features;
    bool named = false;
    for (const bool integral : {false, true}) {
      for (FieldSight& sight : guess_.sights) {
        if (taken_[sight.path] || !IsFeatures(sight) || sight.integral != integral) continue;
        named = named || NameFeatures(&sight);
        if (!taken_[sight.path]) features.push_back(&sight);
      }
      if (!features.empty() || named) break;
    }
    if (named) {
      for (FieldSight* sight : features) NameFeatures(sight);
      return;
    }
    GuessFeaturesByOrder(features);
  }

  // Takes features whose name says what they are. Returns whether it does.
  bool NameFeatures(FieldSight* sight) {
    Fields& fields = guess_.fields;
    if (Says(*sight, {"text", "bert", "glove", "language", "t"})) {
      fields.add_text(Take(*sight));
    } else if (!fields.has_audio() &&
               Says(*sight, {"audio", "acoustic", "speech", "wav", "smile", "a"})) {
      fields.set_audio(Take(*sight));
    } else if (!fields.has_visual() &&
               Says(*sight, {"visual", "vision", "video", "face", "image", "v"})) {
      fields.set_visual(Take(*sight));
    } else {
      return false;
    }
    return true;
  }

  // Streams of text come first and have one width; audio and visual follow.
  void GuessFeaturesByOrder(const std::vector<FieldSight*>& features) {
    Fields& fields = guess_.fields;
    size_t next = 0;
    while (next < features.size() && next < 4 && features[next]->width == features[0]->width) {
      fields.add_text(Take(*features[next++]));
    }
    if (next < features.size()) fields.set_audio(Take(*features[next++]));
    if (next < features.size()) fields.set_visual(Take(*features[next++]));
    if (features.size() > 1) {
      guess_.notes["text"] = "text, audio and visual by their order alone";
    }
  }

  void GuessListsByOrder(const std::vector<FieldSight*>& lists) {
    Fields& fields = guess_.fields;
    fields.set_train_ids(lists[0]->path);
    if (lists.size() == 2) fields.set_test_ids(lists[1]->path);
    if (lists.size() < 3) return;
    fields.set_valid_ids(lists[1]->path);
    fields.set_test_ids(lists[2]->path);
    guess_.notes["valid_ids"] =
        absl::StrCat("or is it ", lists[2]->path, "? The file does not say which list is which");
    guess_.notes["test_ids"] = absl::StrCat("or is it ", lists[1]->path, "?");
    for (size_t i = 3; i < lists.size(); ++i) AddUnused(*lists[i]);
  }

  const pickle::Document& document_;
  LayoutGuess& guess_;
  std::map<std::string, bool> taken_;
  std::vector<int64_t> lengths_;  // of the labels
};

// Adds what each field of the root is, and of the dicts in it that hold lists.
void AddSights(const pickle::Document& document, const Value& value, const std::string& prefix,
               LayoutGuess* guess) {
  const auto add = [&](const std::string& part, const Value& field) {
    if (guess->sights.size() == kMostFields || part.empty()) return;
    const Value* first = FirstValue(field);
    const bool is_group = prefix.empty() && first != nullptr &&
                          (IsContainer(*first) || first->kind() == Kind::kSet) &&
                          std::any_of(field.keys().begin(), field.keys().end(), [](const Value* k) {
                            return absl::StrContains(absl::AsciiStrToLower(k->string()), "train");
                          });
    if (is_group) return AddSights(document, field, absl::StrCat(part, "/"), guess);
    guess->sights.push_back(
        SightOf(document, absl::StrCat(prefix, part), field, kSightConversations));
  };
  if (value.kind() == Kind::kDict) {
    for (size_t i = 0; i < value.keys().size(); ++i)
      add(KeyOf(*value.keys()[i]), *value.values()[i]);
    return;
  }
  for (size_t i = 0; i < value.items().size(); ++i) add(absl::StrCat(i), *value.items()[i]);
}

// Adds what the conversations hold under each key of the first.
void AddSightsOfConversations(const pickle::Document& document,
                              absl::Span<const Value* const> conversations, LayoutGuess* guess) {
  for (const Value* key : conversations[0]->keys()) {
    if (guess->sights.size() == kMostFields || KeyOf(*key).empty()) continue;
    std::vector<const Value*> values;
    for (size_t i = 0; i < std::min(conversations.size(), kSightConversations); ++i) {
      values.push_back(FindField(*conversations[i], KeyOf(*key)));
    }
    guess->sights.push_back(SightOf(document, KeyOf(*key), values));
  }
}

// Whether the keys of a dict name fields, as opposed to conversations.
bool NamesFields(const Value& dict) {
  return std::any_of(dict.keys().begin(), dict.keys().end(), [](const Value* key) {
    const std::string name = absl::AsciiStrToLower(key->string());
    return absl::StrContains(name, "label") || absl::StrContains(name, "emotion") ||
           absl::StrContains(name, "speaker");
  });
}

// Guesses the keys of the splits in a dict of splits.
void GuessSplits(const Value& root, Fields* fields) {
  for (const Value* key : root.keys()) {
    FieldSight sight;
    sight.path = KeyOf(*key);
    if (SaysTrain(sight)) {
      fields->set_train_ids(sight.path);
    } else if (SaysTest(sight)) {
      fields->set_test_ids(sight.path);
    } else if (SaysValid(sight)) {
      fields->set_valid_ids(sight.path);
    }
  }
}

void LookAtSplits(const pickle::Document& document, LayoutGuess* guess) {
  const Value& root = document.root();
  GuessSplits(root, &guess->fields);
  const Value& split = *root.Find(absl::string_view(guess->fields.train_ids()));
  if (IsListOfDicts(split)) {
    guess->name = "conversation";
    AddSightsOfConversations(document, split.items(), guess);
    for (const FieldSight& sight : guess->sights) {
      const bool is_id = sight.kind == SightKind::kPerConversation && Says(sight, {"id"});
      if (is_id && !guess->fields.has_conversation_id()) {
        guess->fields.set_conversation_id(sight.path);
      }
    }
  } else if (NamesFields(split)) {
    guess->name = "data[SPLIT]";
    AddSights(document, split, "", guess);
  } else {
    guess->name = "conversation";
    AddSightsOfConversations(document, split.values(), guess);
  }
  Guesser(document, guess).Guess();
}

// Whether a value is a split of conversations: a list or dict of them, or the tables of the split.
bool IsSplit(const Value& value) {
  const Value* first = FirstValue(value);
  return IsListOfDicts(value) || (first != nullptr && first->kind() == Kind::kDict);
}

Root RootOf(const Value& root) {
  if (IsListOfDicts(root) && NamesFields(*root.items()[0])) return Root::kConversations;
  if (root.kind() == Kind::kTuple || root.kind() == Kind::kList) return Root::kFields;
  const Value* first = FirstValue(root);
  if (first == nullptr) return Root::kOther;
  Fields splits;
  GuessSplits(root, &splits);
  const Value* train = FindField(root, splits.train_ids());
  if (splits.has_train_ids() && IsSplit(*train)) return Root::kSplits;
  if (NamesFields(root)) return Root::kFields;
  if (first->kind() == Kind::kDict) {
    return NamesFields(*first) ? Root::kConversations : Root::kFields;
  }
  return IsContainer(*first) ? Root::kModality : Root::kOther;
}

}  // namespace

bool LayoutGuess::is_whole() const {
  const bool has_features = fields.text_size() > 0 || fields.has_audio() || fields.has_visual();
  return fields.has_labels() && has_features && fields.has_train_ids() && fields.has_test_ids();
}

LayoutGuess GuessLayout(const pickle::Document& document) {
  const Value& root = document.root();
  LayoutGuess guess;
  guess.glance = Glance(root);
  guess.root = RootOf(root);
  guess.name = "data";
  switch (guess.root) {
    case Root::kFields:
      AddSights(document, root, "", &guess);
      Guesser(document, &guess).Guess();
      break;
    case Root::kSplits:
      LookAtSplits(document, &guess);
      break;
    case Root::kConversations:
      guess.name = "conversation";
      AddSightsOfConversations(document, root.kind() == Kind::kDict ? root.values() : root.items(),
                               &guess);
      Guesser(document, &guess).Guess();
      break;
    case Root::kModality:
      guess.sights.push_back(SightOf(document, "", root, kSightConversations));
      break;
    case Root::kOther:
      break;
  }
  return guess;
}

}  // namespace cmerc::datasets
