// Fields by the names that people give them, and what to say of one that there is not.
#ifndef CMERC_CONFIG_FIELD_NAMES_H_
#define CMERC_CONFIG_FIELD_NAMES_H_

#include <google/protobuf/descriptor.h>

#include <string>

namespace cmerc::config {

// The field of `type` that is called `name`, or else the one that once was (cmerc.former_name);
// null if there is none.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type,
                                                   const std::string& name);

// "message type "cmerc.TrainingConfig" has no field "lr"; did you mean "learning_rate"? fields:
// ...". What was meant is looked for in `type`, by what fields are called elsewhere
// (cmerc.also_called) and by spelling, then among all options of a run; for some names that other
// programs know it says what is there instead.
std::string UnknownField(const std::string& name, const google::protobuf::Descriptor& type);

}  // namespace cmerc::config

#endif  // CMERC_CONFIG_FIELD_NAMES_H_
