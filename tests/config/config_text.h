// Configs of the toy plugins, and what the loader makes of them.
#ifndef CMERC_TESTS_CONFIG_CONFIG_TEXT_H_
#define CMERC_TESTS_CONFIG_CONFIG_TEXT_H_

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/loader.h"

namespace cmerc {

inline constexpr char kData[] =
    "data { dataset { [type.googleapis.com/cmerc_test.ToyDataOptions] { directory: 'd' } } }\n";
inline constexpr char kNet[] = "backbone { [type.googleapis.com/cmerc_test.ToyNetOptions] {} }\n";
inline constexpr char kLoss[] =
    "losses { loss { [type.googleapis.com/cmerc_test.ToyLossOptions] {} } }\n";

inline std::string Valid() { return std::string(kData) + kNet + kLoss; }

inline std::string Net(const std::string& fields) {
  return "backbone { [type.googleapis.com/cmerc_test.ToyNetOptions] { " + fields + " } }";
}

inline RunConfig Parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const absl::StatusOr<RunConfig> config = ParseConfig(text, "f", overrides);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : RunConfig();
}

// The problems alone: each starts with "\n  ".
inline std::string ProblemsIn(const std::string& text,
                              const std::vector<std::string>& overrides = {}) {
  const absl::Status status = ParseConfig(text, "f", overrides).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  const std::string head = "f is not a valid config:";
  EXPECT_EQ(message.substr(0, head.size()), head);
  return message.size() < head.size() ? message : message.substr(head.size());
}

template <typename Options>
Options Unpack(const google::protobuf::Any& any) {
  Options options;
  EXPECT_TRUE(any.UnpackTo(&options)) << any.type_url();
  return options;
}

}  // namespace cmerc

#endif  // CMERC_TESTS_CONFIG_CONFIG_TEXT_H_
