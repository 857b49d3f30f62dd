#include "tests/bin/tiny_files.h"

#include <utility>

#include "storage/pickle/writer.h"

namespace cmerc {
namespace {

using pickle::Writer;

void Put(Writer& w, int64_t value) { w.Int(value); }
void Put(Writer& w, double value) { w.Float(value); }
void Put(Writer& w, const std::string& value) { w.String(value); }

template <typename T>
void Put(Writer& w, const std::vector<T>& values) {
  w.EmptyList();
  w.Mark();
  for (const T& value : values) Put(w, value);
  w.Appends();
}

// A dict of conversation id -> `field` of it.
template <typename Field>
void PutTable(Writer& w, const TinyCorpus& corpus, const Field& field) {
  w.EmptyDict();
  w.Mark();
  for (const TinyCorpus::Conversation& conversation : corpus.conversations) {
    w.String(conversation.id);
    Put(w, field(conversation));
  }
  w.SetItems();
}

}  // namespace

std::string TinyConfig() {
  return R"pb(
    data {
      dataset {
        [type.googleapis.com/cmerc.SyntheticOptions] {
          train_conversations: 4
          valid_conversations: 1
          test_conversations: 2
          min_length: 2
          mean_length: 3
          max_length: 4
          num_classes: 3
        }
      }
    }
    backbone {
      [type.googleapis.com/cmerc.M3NetOptions] {
        input_width: 8
        graph_width: 8
        hypergraph_layers: 1
        high_frequency_layers: 1
      }
    }
    losses {
      loss {
        [type.googleapis.com/cmerc.NllOptions] {}
      }
    }
    losses {
      weight: 0.01
      loss {
        [type.googleapis.com/cmerc.CalibrationRankingOptions] {}
      }
    }
    training { epochs: 1 batch_size: 2 }
  )pb";
}

std::string PickleOf(const TinyCorpus& corpus) {
  using Conversation = TinyCorpus::Conversation;
  Writer w;
  w.Mark();
  PutTable(w, corpus, [](const Conversation& c) { return c.speakers; });
  PutTable(w, corpus, [](const Conversation& c) { return c.labels; });
  for (int stream = 0; stream < 4; ++stream) {
    PutTable(w, corpus, [](const Conversation& c) { return c.text; });
  }
  PutTable(w, corpus,
           [](const Conversation& c) { return std::vector<std::string>(c.labels.size(), "..."); });
  Put(w, corpus.train);
  Put(w, corpus.test);
  Put(w, corpus.valid);
  w.TupleFromMark();
  return std::move(w).Finish();
}

std::string PickleThatRuns(const std::string& command) {
  Writer w;
  w.Global("os", "system");
  w.String(command);
  w.Tuple(1);
  w.Reduce();
  return std::move(w).Finish();
}

}  // namespace cmerc
