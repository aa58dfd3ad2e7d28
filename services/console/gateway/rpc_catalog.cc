#include "tidewheel/console/gateway/rpc_catalog.h"

#include <algorithm>
#include <array>
#include <set>

#include "tidewheel/console/v1/console_service.pb.h"
#include "tidewheel/curation/v1/curation_service.pb.h"
#include "tidewheel/curation/v1/lineage_service.pb.h"
#include "tidewheel/inference/v1/inference_service.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"
#include "tidewheel/labeling/v1/labeling_service.pb.h"
#include "tidewheel/labeling/v1/queue_service.pb.h"
#include "tidewheel/log/log.h"
#include "tidewheel/model_registry/v1/model_registry_service.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.pb.h"
#include "tidewheel/training/v1/cycle_service.pb.h"
#include "tidewheel/training/v1/training_service.pb.h"

namespace tidewheel::console {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// Naming a message of each file is also what makes the linker keep its descriptors.
std::vector<const FileDescriptor*> Files() {
  return {console::v1::GetPlatformStatusRequest::descriptor()->file(),
          curation::v1::BuildDatasetVersionRequest::descriptor()->file(),
          curation::v1::TraceRequest::descriptor()->file(),
          inference::v1::PredictRequest::descriptor()->file(),
          ingestion::v1::PushSampleRequest::descriptor()->file(),
          labeling::v1::SubmitVotesRequest::descriptor()->file(),
          labeling::v1::EnqueueBatchRequest::descriptor()->file(),
          model_registry::v1::ApplyTaskRequest::descriptor()->file(),
          monitoring::v1::GetPredictionRequest::descriptor()->file(),
          training::v1::StartRunRequest::descriptor()->file(),
          training::v1::StartCycleRequest::descriptor()->file()};
}

// "tidewheel.model_registry.v1" -> "model-registry".
std::string ServiceOf(const std::string& package) {
  const auto first = package.find('.');
  std::string name = package.substr(first + 1, package.rfind('.') - first - 1);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string TypeOf(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor* entry = field.message_type();
    return "map<" + TypeOf(*entry->map_key()) + ", " + TypeOf(*entry->map_value()) + ">";
  }
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) return field.message_type()->full_name();
  if (field.type() == FieldDescriptor::TYPE_ENUM) return field.enum_type()->full_name();
  return field.type_name();
}

std::string Quoted(const std::string& text) { return log::JsonQuoted(text); }

// Each message once, with what it is made of.
void DescribeMessage(const Descriptor& message, std::map<std::string, std::string>* types) {
  if (types->contains(message.full_name())) return;
  std::string& text = (*types)[message.full_name()];
  std::string fields;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    fields += (i == 0 ? "" : ",") + ("{\"name\":" + Quoted(field.name())) +
              ",\"type\":" + Quoted(TypeOf(field)) +
              (field.is_repeated() && !field.is_map() ? ",\"repeated\":true" : "") +
              (field.real_containing_oneof() != nullptr
                   ? ",\"one_of\":" + Quoted(field.real_containing_oneof()->name())
                   : "") +
              "}";
  }
  text = "{\"fields\":[" + fields + "]}";
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    if (field->is_map()) field = field->message_type()->map_value();
    if (field->type() == FieldDescriptor::TYPE_MESSAGE &&
        !field->message_type()->full_name().starts_with("google.protobuf.")) {
      DescribeMessage(*field->message_type(), types);
    }
    if (field->type() == FieldDescriptor::TYPE_ENUM) {
      std::string& values = (*types)[field->enum_type()->full_name()];
      values = "{\"values\":[";
      for (int v = 0; v < field->enum_type()->value_count(); ++v) {
        values += (v == 0 ? "" : ",") + Quoted(field->enum_type()->value(v)->name());
      }
      values += "]}";
    }
  }
}

}  // namespace

bool CataloguedRpc::reads() const {
  static constexpr std::array<std::string_view, 4> kWords = {"Get", "List", "Find", "Verify"};
  return std::any_of(kWords.begin(), kWords.end(), [this](std::string_view word) {
    // "Getaway" is another word.
    return name.starts_with(word) &&
           (name.size() == word.size() ||
            std::isupper(static_cast<unsigned char>(name[word.size()])) != 0);
  });
}

RpcCatalog::RpcCatalog() {
  for (const FileDescriptor* file : Files()) {
    const std::string service = ServiceOf(file->package());
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const auto* method = file->service(s)->method(m);
        rpcs_[service].push_back(
            {service, method->name(), "/api/v1/" + service + "/" + method->name(),
             "/" + file->service(s)->full_name() + "/" + method->name(), method});
      }
    }
  }
}

bool RpcCatalog::HasService(std::string_view service) const { return rpcs_.contains(service); }

const CataloguedRpc* RpcCatalog::Find(std::string_view service, std::string_view rpc) const {
  std::string name(service);
  std::replace(name.begin(), name.end(), '_', '-');
  const auto found = rpcs_.find(name);
  if (found == rpcs_.end()) return nullptr;
  const auto entry =
      std::find_if(found->second.begin(), found->second.end(),
                   [&](const CataloguedRpc& candidate) { return candidate.name == rpc; });
  return entry == found->second.end() ? nullptr : &*entry;
}

std::vector<std::string> RpcCatalog::services() const {
  std::vector<std::string> names;
  for (const auto& [name, rpcs] : rpcs_) names.push_back(name);
  return names;
}

std::string RpcCatalog::Describe() const {
  std::map<std::string, std::string> types;
  std::string services;
  for (const auto& [service, rpcs] : rpcs_) {
    std::string listed;
    for (const auto& rpc : rpcs) {
      DescribeMessage(*rpc.method->input_type(), &types);
      DescribeMessage(*rpc.method->output_type(), &types);
      const std::string verbs = !rpc.over_http()                ? ""
                                : rpc.reads() && !rpc.streams() ? "\"GET\",\"POST\""
                                                                : "\"POST\"";
      listed += (listed.empty() ? "" : ",") + ("{\"name\":" + Quoted(rpc.name)) +
                ",\"path\":" + Quoted(rpc.path) + ",\"methods\":[" + verbs + "]" +
                ",\"streams\":" + (rpc.streams() ? "true" : "false") +
                ",\"request\":" + Quoted(rpc.method->input_type()->full_name()) +
                ",\"response\":" + Quoted(rpc.method->output_type()->full_name()) + "}";
    }
    services += (services.empty() ? "" : ",") + ("{\"name\":" + Quoted(service)) + ",\"rpcs\":[" +
                listed + "]}";
  }
  std::string described;
  for (const auto& [name, text] : types) {
    described += (described.empty() ? "" : ",") + Quoted(name) + ":" + text;
  }
  return "{\"services\":[" + services + "],\"types\":{" + described + "}}\n";
}

}  // namespace tidewheel::console
