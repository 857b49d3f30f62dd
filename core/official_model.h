// For a backbone that follows the code of its authors: what names and shapes of weights do not say.
#ifndef CMERC_CORE_OFFICIAL_MODEL_H_
#define CMERC_CORE_OFFICIAL_MODEL_H_

#include <map>
#include <string>

#include "torch/types.h"

namespace cmerc {

// A Backbone may be one of these, too. Whoever loads weights that another program saved asks it.
class OfficialModel {
 public:
  virtual ~OfficialModel() = default;

  // Why the official code has no model like this one although its options ask for the official
  // semantics, and which option to set; empty where it has one, or where nobody asked. Weights of
  // the official code would fit such a model by their names and give other predictions.
  virtual std::string Departure() const = 0;

  // What the values in `state`, official weights of the right names and shapes, say against the
  // options of this model, and which option to set; empty where nothing does. It is a guess.
  virtual std::string Doubt(const std::map<std::string, torch::Tensor>& state) const = 0;
};

}  // namespace cmerc

#endif  // CMERC_CORE_OFFICIAL_MODEL_H_
