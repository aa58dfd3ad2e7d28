#include "tidewheel/ml/package/manifest.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <set>
#include <utility>

#include "tidewheel/base/digest.h"
#include "tidewheel/ml/package/file.h"

namespace tidewheel::ml {
namespace {

constexpr std::size_t kAtMostManifestBytes = 1u << 20;
constexpr std::string_view kNoCalibration = "none";
constexpr std::string_view kTemperature = "temperature";

/// The shortest decimal that reads back to the same number, in any locale.
std::string Shortest(double number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return {text, end};
}

/// Reads one mapping and remembers what is wrong with it.
class Reader {
 public:
  Reader(YAML::Node node, std::string where, std::vector<std::string>& problems)
      : node_(std::move(node)), where_(std::move(where)), problems_(problems) {
    if (!node_.IsMap()) Complain("must be a mapping");
  }

  void AllowOnly(std::initializer_list<std::string_view> keys) {
    if (!node_.IsMap()) return;
    std::set<std::string> seen;
    for (const auto& entry : node_) {
      const auto key = entry.first.as<std::string>("");
      if (!seen.insert(key).second) Complain("key " + key + " is there twice");
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) Complain("unknown key " + key);
    }
  }

  template <typename T>
  T Get(const std::string& key) {
    const YAML::Node child = Child(key);
    if (!child) return T{};
    T value{};
    if (!YAML::convert<T>::decode(child, value)) Complain("key " + key + " has a wrong type");
    return value;
  }

  /// An undefined node when it is absent, which is a problem already noted.
  YAML::Node Child(const std::string& key) {
    const YAML::Node& constant = node_;
    if (constant.IsMap()) {
      if (YAML::Node child = constant[key]; child.IsDefined()) return child;
      Complain("key " + key + " is missing");
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  void Complain(const std::string& what) { problems_.push_back(where_ + ": " + what); }

 private:
  YAML::Node node_;
  std::string where_;
  std::vector<std::string>& problems_;
};

TensorSignature ReadTensor(Reader& parent, const std::string& key,
                           std::vector<std::string>& problems) {
  const YAML::Node node = parent.Child(key);
  if (!node.IsDefined()) return {};
  Reader reader(node, "model.yaml " + key, problems);
  reader.AllowOnly({"name", "datatype", "shape"});
  TensorSignature tensor{.name = reader.Get<std::string>("name"),
                         .datatype = reader.Get<std::string>("datatype"),
                         .shape = reader.Get<std::vector<std::int64_t>>("shape")};
  if (tensor.datatype != "FP32") reader.Complain("datatype must be FP32");
  const bool sizes_are_fine =
      std::all_of(tensor.shape.begin() + (tensor.shape.empty() ? 0 : 1), tensor.shape.end(),
                  [](std::int64_t size) { return size > 0; });
  if (tensor.shape.size() < 2 || tensor.shape.front() != -1 || !sizes_are_fine) {
    reader.Complain("shape must be -1 for the batch, then positive sizes");
  }
  return tensor;
}

Calibration ReadCalibration(Reader& parent, std::vector<std::string>& problems) {
  const YAML::Node node = parent.Child("calibration");
  if (!node.IsDefined()) return {};
  Reader reader(node, "model.yaml calibration", problems);
  const auto method = reader.Get<std::string>("method");
  if (method == kNoCalibration) {
    reader.AllowOnly({"method"});
    return {};
  }
  if (method != kTemperature) {
    reader.Complain("method must be none or temperature");
    return {};
  }
  reader.AllowOnly({"method", "temperature"});
  const Calibration calibration{.method = Calibration::Method::kTemperature,
                                .temperature = reader.Get<double>("temperature")};
  if (!std::isfinite(calibration.temperature) || calibration.temperature <= 0) {
    reader.Complain("temperature must be positive");
  }
  return calibration;
}

/// Absent in packages from before there were variants.
std::vector<Variant> ReadVariants(const YAML::Node& root, std::vector<std::string>& problems) {
  std::vector<Variant> variants;
  const YAML::Node node = root.IsMap() ? root["variants"] : YAML::Node(YAML::NodeType::Undefined);
  if (!node.IsDefined()) return variants;
  if (!node.IsSequence()) {
    problems.push_back("model.yaml variants: must be a list");
    return variants;
  }
  std::set<std::string> names;
  for (const YAML::Node& entry : node) {
    Reader reader(entry, "model.yaml variants", problems);
    reader.AllowOnly({"name", "file", "offered", "reason", "calibration", "samples", "difference",
                      "low", "high", "changed", "largest_difference"});
    Variant variant{.name = reader.Get<std::string>("name"),
                    .file = reader.Get<std::string>("file"),
                    .offered = reader.Get<bool>("offered"),
                    .reason = reader.Get<std::string>("reason"),
                    .calibration = reader.Get<std::string>("calibration"),
                    .samples = reader.Get<std::uint64_t>("samples"),
                    .difference = reader.Get<double>("difference"),
                    .low = reader.Get<double>("low"),
                    .high = reader.Get<double>("high"),
                    .changed = reader.Get<double>("changed"),
                    .largest_difference = reader.Get<double>("largest_difference")};
    const bool plain = variant.file == kOnnxFile || variant.file == kInt8OnnxFile ||
                       (variant.file.empty() && !variant.offered);
    if (variant.name != "bf16" && variant.name != "int8") {
      reader.Complain("name must be bf16 or int8");
    }
    if (!plain) reader.Complain("file must be a model's");
    if (!names.insert(variant.name).second) reader.Complain(variant.name + " is there twice");
    variants.push_back(std::move(variant));
  }
  return variants;
}

Result<PackageManifest> Parse(const YAML::Node& root) {
  std::vector<std::string> problems;
  Reader reader(root, "model.yaml", problems);
  if (const int format = reader.Get<int>("format_version");
      format != PackageManifest::kFormatVersion) {
    reader.Complain("format_version must be " + std::to_string(PackageManifest::kFormatVersion));
  }
  reader.AllowOnly({"format_version", "task", "recipe", "input", "output", "classes",
                    "preprocessing", "calibration", "run_id", "dataset_digest", "code_version",
                    "seed", "variants"});
  PackageManifest manifest;
  manifest.task = reader.Get<std::string>("task");
  manifest.recipe = reader.Get<std::string>("recipe");
  manifest.input = ReadTensor(reader, "input", problems);
  manifest.output = ReadTensor(reader, "output", problems);
  manifest.classes = reader.Get<std::vector<std::string>>("classes");
  manifest.preprocessing = reader.Get<std::map<std::string, std::string>>("preprocessing");
  manifest.calibration = ReadCalibration(reader, problems);
  manifest.run_id = reader.Get<std::string>("run_id");
  manifest.dataset_digest = reader.Get<std::string>("dataset_digest");
  manifest.code_version = reader.Get<std::string>("code_version");
  manifest.seed = reader.Get<std::uint64_t>("seed");
  manifest.variants = ReadVariants(root, problems);

  if (manifest.output.shape.size() != 2 ||
      manifest.output.shape[1] != static_cast<std::int64_t>(manifest.classes.size())) {
    reader.Complain("the output's shape must be [-1, number of classes], with " +
                    std::to_string(manifest.classes.size()) + " classes");
  }
  const std::set<std::string> distinct(manifest.classes.begin(), manifest.classes.end());
  if (distinct.size() != manifest.classes.size()) reader.Complain("a class is there twice");
  if (!manifest.dataset_digest.empty() && !Digest::FromHex(manifest.dataset_digest)) {
    reader.Complain("dataset_digest must be 64 hexadecimal digits");
  }
  if (problems.empty()) return manifest;

  std::string all;
  for (const auto& problem : problems) all += (all.empty() ? "" : "; ") + problem;
  return Error{ErrorCode::kInvalidArgument, all};
}

void Emit(YAML::Emitter& out, const char* key, const TensorSignature& tensor) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted << tensor.name;
  out << YAML::Key << "datatype" << YAML::Value << tensor.datatype;
  out << YAML::Key << "shape" << YAML::Value << YAML::Flow << tensor.shape;
  out << YAML::EndMap;
}

void Emit(YAML::Emitter& out, const char* key, const std::string& text) {
  out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << text;
}

void Emit(YAML::Emitter& out, const Variant& variant) {
  out << YAML::BeginMap;
  Emit(out, "name", variant.name);
  Emit(out, "file", variant.file);
  out << YAML::Key << "offered" << YAML::Value << variant.offered;
  Emit(out, "reason", variant.reason);
  Emit(out, "calibration", variant.calibration);
  out << YAML::Key << "samples" << YAML::Value << variant.samples;
  for (const auto& [key, number] :
       {std::pair{"difference", variant.difference}, std::pair{"low", variant.low},
        std::pair{"high", variant.high}, std::pair{"changed", variant.changed},
        std::pair{"largest_difference", variant.largest_difference}}) {
    out << YAML::Key << key << YAML::Value << Shortest(number);
  }
  out << YAML::EndMap;
}

}  // namespace

std::vector<std::string_view> RequiredPackageFiles() {
  return {kTorchScriptFile, kOnnxFile, kManifestFile, kEvaluationFile, kCardFile, kGoldenFile};
}

Result<PackageManifest> ParsePackageManifest(std::string_view yaml) {
  if (yaml.size() > kAtMostManifestBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 "model.yaml has more than " + std::to_string(kAtMostManifestBytes) + " bytes"};
  }
  try {
    return Parse(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& failure) {
    return Error{ErrorCode::kInvalidArgument, std::string("model.yaml: ") + failure.what()};
  }
}

std::string PrintPackageManifest(const PackageManifest& manifest) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "format_version" << YAML::Value << PackageManifest::kFormatVersion;
  Emit(out, "task", manifest.task);
  Emit(out, "recipe", manifest.recipe);
  Emit(out, "input", manifest.input);
  Emit(out, "output", manifest.output);
  out << YAML::Key << "classes" << YAML::Value << YAML::BeginSeq;
  for (const auto& name : manifest.classes) out << YAML::DoubleQuoted << name;
  out << YAML::EndSeq;
  out << YAML::Key << "preprocessing" << YAML::Value << YAML::BeginMap;
  for (const auto& [key, value] : manifest.preprocessing) {
    out << YAML::Key << YAML::DoubleQuoted << key << YAML::Value << YAML::DoubleQuoted << value;
  }
  out << YAML::EndMap;
  out << YAML::Key << "calibration" << YAML::Value << YAML::BeginMap;
  if (manifest.calibration.method == Calibration::Method::kTemperature) {
    out << YAML::Key << "method" << YAML::Value << std::string(kTemperature);
    out << YAML::Key << "temperature" << YAML::Value << Shortest(manifest.calibration.temperature);
  } else {
    out << YAML::Key << "method" << YAML::Value << std::string(kNoCalibration);
  }
  out << YAML::EndMap;
  Emit(out, "run_id", manifest.run_id);
  Emit(out, "dataset_digest", manifest.dataset_digest);
  Emit(out, "code_version", manifest.code_version);
  out << YAML::Key << "seed" << YAML::Value << manifest.seed;
  if (!manifest.variants.empty()) {
    out << YAML::Key << "variants" << YAML::Value << YAML::BeginSeq;
    for (const Variant& variant : manifest.variants) Emit(out, variant);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

const Variant* OfferedVariant(const PackageManifest& manifest, std::string_view name) {
  const auto found =
      std::find_if(manifest.variants.begin(), manifest.variants.end(),
                   [&](const Variant& variant) { return variant.name == name && variant.offered; });
  return found == manifest.variants.end() ? nullptr : &*found;
}

Result<PackageManifest> ReadPackageManifest(const std::filesystem::path& folder) {
  const auto yaml = ReadPackageFile(folder / kManifestFile, kAtMostManifestBytes);
  if (!yaml) return yaml.error();
  return ParsePackageManifest(*yaml);
}

}  // namespace tidewheel::ml
