// For a data set that does not fit into memory.
#ifndef CMERC_CORE_LATE_CONVERSATIONS_H_
#define CMERC_CORE_LATE_CONVERSATIONS_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "core/dataset.h"

namespace cmerc {

// Conversations that are read when they are wanted.
class LateConversations {
 public:
  virtual ~LateConversations() = default;
  // The conversation at `index`, as Dataset::Get() returns it. May be called by several threads at
  // the same time.
  virtual absl::StatusOr<Conversation> Read(int64_t index) const = 0;
  // A number that changes when any feature does.
  virtual uint64_t Digest() const = 0;
};

// A Dataset may be one of these, too. Whoever keeps conversations keeps their outlines then, and
// reads the features of those that it is about to use.
class HasLateConversations {
 public:
  virtual ~HasLateConversations() = default;
  // The conversation at `index` without features and sentences.
  virtual absl::StatusOr<Conversation> Outline(int64_t index) const = 0;
  // Where the rest is; it may outlive the data set.
  virtual std::shared_ptr<const LateConversations> late() const = 0;
};

}  // namespace cmerc

#endif  // CMERC_CORE_LATE_CONVERSATIONS_H_
