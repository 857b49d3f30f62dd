#include "serving/infer_json.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "datasets/formats/json_cursor.h"
#include "serving/raw_tensor.h"

namespace cmerc::serving {
namespace {

using datasets::JsonCursor;
using inference::InferParameter;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using Input = ModelInferRequest::InferInputTensor;
using Parameters = google::protobuf::Map<std::string, InferParameter>;

constexpr char kBinarySize[] = "binary_data_size";
constexpr char kBinaryOutput[] = "binary_data";
constexpr char kBinaryOutputs[] = "binary_data_output";
// Deeper lists are no tensors.
constexpr int kMaxDimensions = 8;
// Of inputs, outputs and parameters each: a message takes much more memory than "{}".
constexpr int kMaxMembers = 100;

// What a request says of an input; its values come later.
struct PendingInput {
  std::string data;  // its JSON, "" for none
  std::optional<int64_t> binary_size;
};

bool ReadInteger(JsonCursor& cursor, int64_t* value) {
  std::string digits;
  bool is_number = false;
  if (!cursor.ReadName(&digits, &is_number)) return false;
  return (is_number && absl::SimpleAtoi(digits, value)) || cursor.Fail("is no integer of 64 bits");
}

bool ReadFlag(JsonCursor& cursor, bool* value) {
  std::string json;
  if (!cursor.ReadValue(&json)) return false;
  *value = json == "true";
  return *value || json == "false" || cursor.Fail("must be true or false");
}

bool ReadParameter(JsonCursor& cursor, InferParameter* parameter) {
  if (cursor.NextIs('"')) return cursor.ReadString(parameter->mutable_string_param());
  std::string json;
  if (!cursor.ReadValue(&json)) return false;
  int64_t integer = 0;
  double number = 0;
  if (json == "true" || json == "false") {
    parameter->set_bool_param(json == "true");
  } else if (absl::SimpleAtoi(json, &integer)) {
    parameter->set_int64_param(integer);
  } else if (absl::SimpleAtod(json, &number)) {
    parameter->set_double_param(number);
  } else {
    return cursor.Fail("must be a string, a number, true or false");
  }
  return true;
}

bool ReadParameters(JsonCursor& cursor, Parameters* parameters) {
  return cursor.ReadObject([&](const std::string& key) {
    if (parameters->size() == kMaxMembers) return cursor.Fail("is one parameter too many");
    return ReadParameter(cursor, &(*parameters)[key]);
  });
}

bool ReadShape(JsonCursor& cursor, Input* input) {
  return cursor.ReadArray([&](int64_t) {
    if (input->shape_size() == kMaxDimensions) return cursor.Fail("is one dimension too many");
    int64_t size = 0;
    if (!ReadInteger(cursor, &size)) return false;
    input->add_shape(size);
    return true;
  });
}

bool ReadInput(JsonCursor& cursor, Input* input, PendingInput* pending) {
  return cursor.ReadObject([&](const std::string& key) {
    if (key == "name") return cursor.ReadString(input->mutable_name());
    if (key == "datatype") return cursor.ReadString(input->mutable_datatype());
    if (key == "shape") return ReadShape(cursor, input);
    if (key == "data") return cursor.ReadValue(&pending->data);
    if (key == "parameters") return ReadParameters(cursor, input->mutable_parameters());
    return cursor.Fail("is no member of an input; it has name, shape, datatype, parameters, data");
  });
}

bool ReadOutput(JsonCursor& cursor, ModelInferRequest::InferRequestedOutputTensor* output) {
  return cursor.ReadObject([&](const std::string& key) {
    if (key == "name") return cursor.ReadString(output->mutable_name());
    if (key == "parameters") return ReadParameters(cursor, output->mutable_parameters());
    return cursor.Fail("is no member of an output; it has name and parameters");
  });
}

bool ReadRequest(JsonCursor& cursor, ModelInferRequest* request,
                 std::vector<PendingInput>* pending) {
  return cursor.ReadObject([&](const std::string& key) {
    if (key == "id") return cursor.ReadString(request->mutable_id());
    if (key == "parameters") return ReadParameters(cursor, request->mutable_parameters());
    if (key == "inputs") {
      return cursor.ReadArray([&](int64_t index) {
        if (index == kMaxMembers) return cursor.Fail("is one input too many");
        return ReadInput(cursor, request->add_inputs(), &pending->emplace_back());
      });
    }
    if (key == "outputs") {
      return cursor.ReadArray([&](int64_t index) {
        if (index == kMaxMembers) return cursor.Fail("is one output too many");
        return ReadOutput(cursor, request->add_outputs());
      });
    }
    return cursor.Fail("is no member of a request; it has id, parameters, inputs, outputs");
  }) && cursor.ReadEnd();
}

// Calls `read_list` at every innermost list.
bool ReadNested(JsonCursor& cursor, int depth, const std::function<bool()>& read_list) {
  if (!cursor.NextIsListOfLists()) return read_list();
  if (depth == kMaxDimensions) return cursor.Fail("is one list too deep");
  return cursor.ReadArray([&](int64_t) { return ReadNested(cursor, depth + 1, read_list); });
}

bool ReadFloatList(JsonCursor& cursor, std::string* raw) {
  google::protobuf::RepeatedField<float> values;
  if (!cursor.ReadFloats(&values)) return false;
  for (const float value : values) AppendFloat(value, raw);
  return true;
}

bool ReadValueOf(JsonCursor& cursor, const std::string& datatype, std::string* raw) {
  if (datatype == "BYTES") {
    std::string text;
    if (!cursor.ReadString(&text)) return false;
    AppendText(text, raw);
    return true;
  }
  if (datatype == "BOOL") {
    bool flag = false;
    if (!ReadFlag(cursor, &flag)) return false;
    raw->push_back(flag ? 1 : 0);
    return true;
  }
  int64_t integer = 0;
  if (!ReadInteger(cursor, &integer)) return false;
  if (datatype == "INT64") {
    AppendInt64(integer, raw);
  } else if (integer == static_cast<int32_t>(integer)) {
    AppendInt32(static_cast<int32_t>(integer), raw);
  } else {
    return cursor.Fail("is too large for INT32");
  }
  return true;
}

// The values of an input that are in the JSON, as bytes.
absl::StatusOr<std::string> RawOf(const Input& input, const std::string& data) {
  const std::string& datatype = input.datatype();
  if (datatype != "FP32" && datatype != "BYTES" && datatype != "BOOL" && datatype != "INT64" &&
      datatype != "INT32") {
    return absl::InvalidArgumentError(absl::StrCat("has the datatype \"", datatype.substr(0, 40),
                                                   "\", want FP32, BYTES, BOOL, INT64 or INT32"));
  }
  std::string raw;
  JsonCursor cursor(data);
  const auto read_list = [&] {
    if (datatype == "FP32") return ReadFloatList(cursor, &raw);
    return cursor.ReadArray([&](int64_t) { return ReadValueOf(cursor, datatype, &raw); });
  };
  if (ReadNested(cursor, 1, read_list) && cursor.ReadEnd()) return raw;
  return absl::InvalidArgumentError(absl::StrCat("data", cursor.error()));
}

// Takes the size of the binary values out of the parameters of an input.
absl::Status TakeBinarySize(Input* input, PendingInput* pending) {
  const auto found = input->parameters().find(kBinarySize);
  if (found == input->parameters().end()) return absl::OkStatus();
  if (found->second.parameter_choice_case() != InferParameter::kInt64Param ||
      found->second.int64_param() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(kBinarySize, " must be a number of bytes, from 0"));
  }
  pending->binary_size = found->second.int64_param();
  if (!pending->data.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has both \"data\" and ", kBinarySize, "; keep one"));
  }
  return absl::OkStatus();
}

// Sets raw_input_contents from what the JSON has and from `binary`.
absl::Status FillValues(absl::string_view binary, std::vector<PendingInput>& pending,
                        ModelInferRequest* request) {
  for (int i = 0; i < request->inputs_size(); ++i) {
    Input* input = request->mutable_inputs(i);
    const std::string place = absl::StrCat("inputs[", i, "]");
    RETURN_IF_ERROR(Annotate(TakeBinarySize(input, &pending[i]), place));
    if (!pending[i].binary_size.has_value()) {
      if (pending[i].data.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(place, " has no values: neither \"data\" nor ", kBinarySize));
      }
      ASSIGN_OR_RETURN(*request->add_raw_input_contents(),
                       Annotate(RawOf(*input, pending[i].data), place));
      pending[i].data.clear();
      continue;
    }
    const auto size = static_cast<uint64_t>(*pending[i].binary_size);
    if (size > binary.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, " has ", kBinarySize, " ", size, ", but only ", binary.size(),
                       " bytes are left behind the JSON; is the body cut short, or the header "
                       "Inference-Header-Content-Length missing?"));
    }
    request->add_raw_input_contents(std::string(binary.substr(0, size)));
    binary.remove_prefix(size);
  }
  if (binary.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(binary.size(), " bytes follow the values of all inputs"));
}

bool IsTrue(const Parameters& parameters, const char* key) {
  const auto found = parameters.find(key);
  return found != parameters.end() && found->second.bool_param();
}

void AppendNumber(double value, std::string* json) {
  std::array<char, 32> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  json->append(digits.data(), result.ptr);
}

// The values of an output as a flat list.
std::string DataToJson(const ModelInferResponse::InferOutputTensor& output,
                       const std::string& raw) {
  Input as_input;
  as_input.set_datatype(output.datatype());
  *as_input.mutable_shape() = output.shape();
  const absl::StatusOr<RawTensor> tensor = RawTensor::FromRaw(as_input, raw);
  std::string json = "[";
  const auto comma = [&] {
    if (json.size() > 1) json.push_back(',');
  };
  // Whoever made the answer made it right.
  if (!tensor.ok()) return "[]";
  if (output.datatype() == "BYTES") {
    for (const std::string& text : tensor->Texts()) {
      comma();
      json += JsonString(text);
    }
  } else if (output.datatype() == "BOOL") {
    for (const bool flag : tensor->Flags()) {
      comma();
      json += flag ? "true" : "false";
    }
  } else {
    for (const double value : tensor->Doubles()) {
      comma();
      AppendNumber(value, &json);
    }
  }
  return json + "]";
}

std::string ShapeToJson(const google::protobuf::RepeatedField<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

std::string TensorsToJson(
    const google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>&
        tensors) {
  std::vector<std::string> objects;
  for (const auto& tensor : tensors) {
    objects.push_back(absl::StrCat("{\"name\":", JsonString(tensor.name()), ",\"datatype\":\"",
                                   tensor.datatype(), "\",\"shape\":", ShapeToJson(tensor.shape()),
                                   "}"));
  }
  return absl::StrCat("[", absl::StrJoin(objects, ","), "]");
}

std::string StringsToJson(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return absl::StrCat("[",
                      absl::StrJoin(texts, ",",
                                    [](std::string* out, const std::string& text) {
                                      absl::StrAppend(out, JsonString(text));
                                    }),
                      "]");
}

}  // namespace

absl::StatusOr<ModelInferRequest> InferRequestFromJson(absl::string_view body,
                                                       std::optional<size_t> json_size) {
  if (json_size.value_or(0) > body.size()) {
    return absl::InvalidArgumentError(absl::StrCat("Inference-Header-Content-Length is ",
                                                   *json_size, ", but the body has ", body.size(),
                                                   " bytes"));
  }
  const size_t end = json_size.value_or(body.size());
  ModelInferRequest request;
  std::vector<PendingInput> pending;
  JsonCursor cursor(body.substr(0, end));
  if (!ReadRequest(cursor, &request, &pending)) return absl::InvalidArgumentError(cursor.error());
  RETURN_IF_ERROR(FillValues(body.substr(end), pending, &request));
  return request;
}

InferAnswer InferResponseToJson(const ModelInferRequest& request,
                                const ModelInferResponse& response) {
  const bool all_binary = IsTrue(request.parameters(), kBinaryOutputs);
  std::vector<std::string> outputs;
  std::string binary;
  bool any_binary = false;
  for (int i = 0; i < response.outputs_size(); ++i) {
    const ModelInferResponse::InferOutputTensor& output = response.outputs(i);
    const std::string& raw = response.raw_output_contents(i);
    bool is_binary = all_binary;
    for (const auto& wanted : request.outputs()) {
      if (wanted.name() != output.name()) continue;
      const auto says = wanted.parameters().find(kBinaryOutput);
      if (says != wanted.parameters().end()) is_binary = says->second.bool_param();
    }
    std::string values;
    if (is_binary) {
      values = absl::StrCat("\"parameters\":{\"", kBinarySize, "\":", raw.size(), "}");
      binary += raw;
      any_binary = true;
    } else {
      values = absl::StrCat("\"data\":", DataToJson(output, raw));
    }
    outputs.push_back(absl::StrCat("{\"name\":", JsonString(output.name()), ",\"datatype\":\"",
                                   output.datatype(), "\",\"shape\":", ShapeToJson(output.shape()),
                                   ",", values, "}"));
  }
  std::string json = absl::StrCat("{\"model_name\":", JsonString(response.model_name()),
                                  ",\"model_version\":", JsonString(response.model_version()));
  if (!response.id().empty()) absl::StrAppend(&json, ",\"id\":", JsonString(response.id()));
  absl::StrAppend(&json, ",\"outputs\":[", absl::StrJoin(outputs, ","), "]}");
  const size_t size = json.size();
  return {json + binary, any_binary ? std::optional<size_t>(size) : std::nullopt};
}

std::string ToJson(const inference::ServerMetadataResponse& metadata) {
  return absl::StrCat("{\"name\":", JsonString(metadata.name()),
                      ",\"version\":", JsonString(metadata.version()),
                      ",\"extensions\":", StringsToJson(metadata.extensions()), "}");
}

std::string ToJson(const inference::ModelMetadataResponse& metadata) {
  return absl::StrCat("{\"name\":", JsonString(metadata.name()),
                      ",\"versions\":", StringsToJson(metadata.versions()),
                      ",\"platform\":", JsonString(metadata.platform()),
                      ",\"inputs\":", TensorsToJson(metadata.inputs()),
                      ",\"outputs\":", TensorsToJson(metadata.outputs()), "}");
}

std::string ToJson(const inference::RepositoryIndexResponse& index) {
  std::vector<std::string> models;
  for (const auto& model : index.models()) {
    models.push_back(absl::StrCat(
        "{\"name\":", JsonString(model.name()), ",\"version\":", JsonString(model.version()),
        ",\"state\":", JsonString(model.state()), ",\"reason\":", JsonString(model.reason()), "}"));
  }
  return absl::StrCat("[", absl::StrJoin(models, ","), "]");
}

std::string ErrorToJson(absl::string_view message) {
  return absl::StrCat("{\"error\":", JsonString(message), "}");
}

std::string JsonString(absl::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json.push_back('\\');
      json.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      json.push_back(c);
    }
  }
  return json + "\"";
}

}  // namespace cmerc::serving
