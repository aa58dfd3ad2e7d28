#include "tidewheel/inference/oip_grpc/convert.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace tidewheel::inference {
namespace {

::inference::DataType ToProto(DataType type) {
  switch (type) {
    case DataType::kBool:
      return ::inference::TYPE_BOOL;
    case DataType::kUint8:
      return ::inference::TYPE_UINT8;
    case DataType::kUint16:
      return ::inference::TYPE_UINT16;
    case DataType::kUint32:
      return ::inference::TYPE_UINT32;
    case DataType::kUint64:
      return ::inference::TYPE_UINT64;
    case DataType::kInt8:
      return ::inference::TYPE_INT8;
    case DataType::kInt16:
      return ::inference::TYPE_INT16;
    case DataType::kInt32:
      return ::inference::TYPE_INT32;
    case DataType::kInt64:
      return ::inference::TYPE_INT64;
    case DataType::kFp16:
      return ::inference::TYPE_FP16;
    case DataType::kBf16:
      return ::inference::TYPE_BF16;
    case DataType::kFp32:
      return ::inference::TYPE_FP32;
    case DataType::kFp64:
      return ::inference::TYPE_FP64;
    case DataType::kBytes:
      return ::inference::TYPE_STRING;
  }
  return ::inference::TYPE_INVALID;
}

void SetTensor(const TensorSpec& spec, ::inference::ModelMetadataResponse::TensorMetadata& out) {
  out.set_name(spec.name);
  out.set_datatype(std::string(Name(spec.type)));
  out.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
}

std::uint64_t Count(std::chrono::microseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

void SetPolicy(const QueuePolicy& policy, ::inference::ModelQueuePolicy& out) {
  out.set_timeout_action(policy.delays_on_timeout ? ::inference::ModelQueuePolicy::DELAY
                                                  : ::inference::ModelQueuePolicy::REJECT);
  out.set_default_timeout_microseconds(Count(policy.default_timeout));
  out.set_allow_timeout_override(policy.allow_timeout_override);
  out.set_max_queue_size(policy.max_queue_size);
}

void SetBatching(const BatchPolicy& batching, ::inference::ModelDynamicBatching& out) {
  for (const std::uint32_t size : batching.preferred_batch_sizes) {
    out.add_preferred_batch_size(static_cast<std::int32_t>(size));
  }
  out.set_max_queue_delay_microseconds(Count(batching.max_queue_delay));
  out.set_preserve_ordering(batching.preserve_ordering);
  out.set_priority_levels(batching.priority_levels);
  out.set_default_priority_level(batching.default_priority_level);
  SetPolicy(batching.default_queue_policy, *out.mutable_default_queue_policy());
  for (const auto& [level, policy] : batching.priority_queue_policy) {
    SetPolicy(policy, (*out.mutable_priority_queue_policy())[level]);
  }
}

void SetVersions(const VersionPolicy& versions, ::inference::ModelVersionPolicy& out) {
  switch (versions.kind) {
    case VersionPolicy::Kind::kLatest:
      out.mutable_latest()->set_num_versions(versions.latest);
      return;
    case VersionPolicy::Kind::kAll:
      out.mutable_all();
      return;
    case VersionPolicy::Kind::kSpecific:
      for (const std::uint64_t version : versions.specific) {
        out.mutable_specific()->add_versions(static_cast<std::int64_t>(version));
      }
      return;
  }
}

void SetWarmup(const WarmupSample& sample, ::inference::ModelWarmup& out) {
  out.set_name(sample.name);
  out.set_batch_size(static_cast<std::uint32_t>(sample.batch_size));
  out.set_count(static_cast<std::uint32_t>(sample.count));
  for (const WarmupSample::Input& input : sample.inputs) {
    auto& to = (*out.mutable_inputs())[input.spec.name];
    to.set_data_type(ToProto(input.spec.type));
    to.mutable_dims()->Add(input.spec.shape.begin(), input.spec.shape.end());
    switch (input.kind) {
      case WarmupSample::Input::Kind::kZero:
        to.set_zero_data(true);
        break;
      case WarmupSample::Input::Kind::kRandom:
        to.set_random_data(true);
        break;
      case WarmupSample::Input::Kind::kFile:
        to.set_input_data_file(input.file);
        break;
    }
  }
}

void SetStep(const EnsembleStep& step, ::inference::ModelEnsembling::Step& out) {
  out.set_model_name(step.model);
  std::int64_t version = -1;
  if (!step.version.empty()) {
    std::from_chars(step.version.data(), step.version.data() + step.version.size(), version);
  }
  out.set_model_version(version);
  out.mutable_input_map()->insert(step.inputs.begin(), step.inputs.end());
  out.mutable_output_map()->insert(step.outputs.begin(), step.outputs.end());
}

::inference::ModelInstanceGroup::Kind KindOf(const std::string& name) {
  ::inference::ModelInstanceGroup::Kind kind{};
  if (name.empty() || !::inference::ModelInstanceGroup::Kind_Parse(name, &kind)) {
    return ::inference::ModelInstanceGroup::KIND_CPU;
  }
  return kind;
}

void SetDuration(const DurationSum& sum, ::inference::StatisticDuration& out) {
  out.set_count(sum.count);
  out.set_ns(sum.nanoseconds);
}

}  // namespace

void ToProto(const ModelServer::Description& description,
             ::inference::ModelMetadataResponse& response) {
  const ModelSpec& spec = description.spec;
  response.set_name(spec.name);
  for (const std::string& version : description.versions) response.add_versions(version);
  response.set_platform(spec.platform);
  for (const TensorSpec& input : spec.inputs) SetTensor(input, *response.add_inputs());
  for (const TensorSpec& output : spec.outputs) SetTensor(output, *response.add_outputs());
  response.mutable_properties()->insert(spec.properties.begin(), spec.properties.end());
}

void ToProto(const ModelConfig& config, ::inference::ModelConfig& out) {
  out.set_name(config.name);
  out.set_platform(config.platform);
  out.set_backend(config.backend);
  SetVersions(config.versions, *out.mutable_version_policy());
  out.set_max_batch_size(static_cast<std::int32_t>(
      std::min<std::size_t>(config.max_batch_size, std::numeric_limits<std::int32_t>::max())));
  for (const TensorSpec& input : config.inputs) {
    auto* to = out.add_input();
    to->set_name(input.name);
    to->set_data_type(ToProto(input.type));
    to->mutable_dims()->Add(input.shape.begin(), input.shape.end());
  }
  for (const TensorSpec& output : config.outputs) {
    auto* to = out.add_output();
    to->set_name(output.name);
    to->set_data_type(ToProto(output.type));
    to->mutable_dims()->Add(output.shape.begin(), output.shape.end());
  }
  auto* instances = out.add_instance_group();
  instances->set_name(config.name + "_0");
  instances->set_count(static_cast<std::int32_t>(std::max<std::uint32_t>(config.instances, 1)));
  instances->set_kind(KindOf(config.instance_kind));
  out.set_default_model_filename(config.file);
  for (const EnsembleStep& step : config.ensemble) {
    SetStep(step, *out.mutable_ensemble_scheduling()->add_step());
  }
  if (config.ensemble.empty() && config.batching && config.batching->enabled) {
    SetBatching(*config.batching, *out.mutable_dynamic_batching());
  }
  for (const auto& [name, value] : config.parameters) {
    (*out.mutable_parameters())[name].set_string_value(value);
  }
  for (const WarmupSample& sample : config.warmup) SetWarmup(sample, *out.add_model_warmup());
  out.mutable_model_transaction_policy()->set_decoupled(false);
  out.mutable_response_cache()->set_enable(config.response_cache);
}

void ToProto(const ModelStatistics& statistics, ::inference::ModelStatistics& out) {
  out.set_name(statistics.name);
  out.set_version(statistics.version);
  out.set_last_inference(statistics.last_inference_ms);
  out.set_inference_count(statistics.inference_count);
  out.set_execution_count(statistics.execution_count);
  auto& sums = *out.mutable_inference_stats();
  SetDuration(statistics.success, *sums.mutable_success());
  SetDuration(statistics.fail, *sums.mutable_fail());
  SetDuration(statistics.queue, *sums.mutable_queue());
  SetDuration(statistics.input, *sums.mutable_compute_input());
  SetDuration(statistics.infer, *sums.mutable_compute_infer());
  SetDuration(statistics.output, *sums.mutable_compute_output());
  SetDuration(statistics.cache_hit, *sums.mutable_cache_hit());
  SetDuration(statistics.cache_miss, *sums.mutable_cache_miss());
  for (const BatchStatistics& batch : statistics.batches) {
    auto* to = out.add_batch_stats();
    to->set_batch_size(batch.batch_size);
    SetDuration(batch.input, *to->mutable_compute_input());
    SetDuration(batch.infer, *to->mutable_compute_infer());
    SetDuration(batch.output, *to->mutable_compute_output());
  }
  if (statistics.memory_bytes > 0) {
    auto* memory = out.add_memory_usage();
    memory->set_type("CPU");
    memory->set_byte_size(statistics.memory_bytes);
  }
}

void ToProto(const IndexEntry& entry, ::inference::RepositoryIndexResponse::ModelIndex& out) {
  out.set_name(entry.name);
  out.set_version(entry.version);
  out.set_reason(entry.reason);
  switch (entry.state) {
    case ModelState::kUnavailable:
      out.set_state("UNAVAILABLE");
      return;
    case ModelState::kLoading:
      out.set_state("LOADING");
      return;
    case ModelState::kReady:
      out.set_state("READY");
      return;
    case ModelState::kUnloading:
      out.set_state("UNLOADING");
      return;
  }
}

}  // namespace tidewheel::inference
