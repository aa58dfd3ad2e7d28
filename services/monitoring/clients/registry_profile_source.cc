#include "tidewheel/monitoring/clients/registry_profile_source.h"

#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/training/v1/profile.pb.h"

namespace tidewheel::monitoring {
namespace {

namespace registry = model_registry::v1;

constexpr std::chrono::seconds kDeadline{5};
constexpr std::chrono::seconds kAskAgain{60};  // For what was not there.
constexpr std::size_t kMostRemembered = 64;
constexpr std::uint32_t kFormat = 1;

template <typename To, typename From>
std::vector<To> ListOf(const From& from) {
  return {from.begin(), from.end()};
}

Result<FeatureReference> FeatureFrom(const training::v1::FeatureProfile& from) {
  FeatureReference feature;
  feature.name = from.name();
  if (!from.moments().empty()) {
    const auto moments = stats::Moments::FromBytes(from.moments());
    if (!moments) return moments.error();
    feature.moments = *moments;
  }
  if (!from.quantile_sketch().empty()) {
    auto sketch = stats::QuantileSketch::FromBytes(from.quantile_sketch());
    if (!sketch) return sketch.error();
    feature.sketch = *std::move(sketch);
  }
  feature.missing = from.missing();
  feature.min = from.min();
  feature.max = from.max();
  feature.cuts = ListOf<double>(from.cuts());
  feature.counts = ListOf<std::uint64_t>(from.counts());
  return feature;
}

Error Damaged(const std::string& why) { return {ErrorCode::kDataLoss, "profile.pb " + why}; }

}  // namespace

Result<Profile> ParseProfile(std::string_view bytes) {
  training::v1::ReferenceProfile from;
  if (!from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Damaged("is no ReferenceProfile");
  }
  if (from.format_version() != kFormat) {
    return Damaged("has format " + std::to_string(from.format_version()) + ", known is " +
                   std::to_string(kFormat));
  }
  Profile profile;
  profile.classes = ListOf<std::string>(from.classes());
  for (const auto& feature : from.features()) {
    auto read = FeatureFrom(feature);
    if (!read) return Damaged("feature " + feature.name() + ": " + read.error().message);
    profile.features.push_back(*std::move(read));
  }
  const auto& predictions = from.predictions();
  profile.predictions.predicted = ListOf<std::uint64_t>(predictions.predicted());
  profile.predictions.given = ListOf<std::uint64_t>(predictions.given());
  profile.predictions.confusion = ListOf<std::uint64_t>(predictions.confusion());
  profile.predictions.confidence_counts = ListOf<std::uint64_t>(predictions.confidence_counts());
  profile.predictions.mean_confidence = predictions.mean_confidence();
  profile.predictions.accuracy = predictions.accuracy();
  const auto& embedding = from.embedding();
  profile.embedding.numbers = embedding.numbers();
  profile.embedding.projection_seed = embedding.projection_seed();
  profile.embedding.mean = ListOf<double>(embedding.mean());
  profile.embedding.covariance = ListOf<double>(embedding.covariance());
  profile.embedding.distance_quantiles = ListOf<double>(embedding.distance_quantiles());
  const std::size_t n = profile.embedding.mean.size();
  if (profile.embedding.covariance.size() != n * n) {
    return Damaged("has " + std::to_string(profile.embedding.covariance.size()) +
                   " covariances of " + std::to_string(n) + " numbers");
  }
  for (const auto& row : from.rows()) {
    if (static_cast<std::size_t>(row.features_size()) != profile.features.size()) {
      return Damaged("has a row of " + std::to_string(row.features_size()) + " features of " +
                     std::to_string(profile.features.size()));
    }
    profile.rows.push_back({row.split(), row.given_class(), ListOf<float>(row.probabilities()),
                            ListOf<float>(row.embedding()), ListOf<double>(row.features())});
  }
  profile.training_rows = from.training_rows();
  profile.held_out_rows = from.held_out_rows();
  profile.seed = from.seed();
  return profile;
}

RegistryProfileSource::RegistryProfileSource(const std::string& address,
                                             const blob::Store* payloads)
    : stub_(registry::ModelRegistryService::NewStub(rpc::OpenChannel(address))),
      payloads_(payloads) {}

Result<std::shared_ptr<const Profile>> RegistryProfileSource::ProfileOf(const ModelKey& model) {
  if (payloads_ == nullptr) return std::shared_ptr<const Profile>();
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(model.model_version_id);
    if (entry != entries_.end() &&
        (entry->second.profile || now - entry->second.asked_at < kAskAgain)) {
      return entry->second.profile;
    }
  }
  auto fetched = Fetch(model);
  if (!fetched) {
    // What may pass is waited for; what is wrong for good must not stop all other judgement.
    const ErrorCode code = fetched.error().code;
    if (IsTransient(code) || code == ErrorCode::kDeadlineExceeded) return fetched;
    log::Warning("a model is judged without its profile",
                 {{"model", model.model_version_id}, {"error", fetched.error()}});
    fetched = std::shared_ptr<const Profile>();
  }
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMostRemembered) entries_.clear();
  entries_[model.model_version_id] = {*fetched, now};
  return fetched;
}

Result<std::shared_ptr<const Profile>> RegistryProfileSource::Fetch(const ModelKey& model) {
  rpc::ClientContextWithDeadline context(kDeadline);
  registry::GetModelVersionRequest request;
  request.set_model_version_id(model.model_version_id);
  registry::GetModelVersionResponse response;
  const auto asked =
      rpc::FromGrpcStatus(stub_->GetModelVersion(&context, request, &response), "model-registry");
  if (!asked) {
    const auto code = asked.error().code;
    const bool unknown = code == ErrorCode::kNotFound || code == ErrorCode::kInvalidArgument;
    if (unknown) return std::shared_ptr<const Profile>();
    return Error{ErrorCode::kUnavailable, asked.error().message};
  }
  for (const auto& file : response.model_version().files()) {
    if (file.name() != "profile.pb") continue;
    const auto ref = blob::Ref::Parse(file.payload_ref());
    if (!ref) return ref.error();
    const auto bytes = payloads_->Get(*ref);
    if (!bytes) return bytes.error();
    auto profile = ParseProfile(*bytes);
    if (!profile) return profile.error();
    return std::make_shared<const Profile>(*std::move(profile));
  }
  return std::shared_ptr<const Profile>();
}

}  // namespace tidewheel::monitoring
