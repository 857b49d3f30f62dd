// Which conversations are the same in a batch and in a view of it.
#ifndef CMERC_CORE_SAME_CONVERSATIONS_H_
#define CMERC_CORE_SAME_CONVERSATIONS_H_

#include "core/batch.h"

namespace cmerc {

// [N] bool: the utterances of conversations whose features, context and evidence are equal in both,
// which hold the same utterances. Undefined where there are none, unless a GPU had to be waited for
// to learn that.
torch::Tensor InSameConversations(const Batch& a, const Batch& b);

}  // namespace cmerc

#endif  // CMERC_CORE_SAME_CONVERSATIONS_H_
