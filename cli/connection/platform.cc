#include "tidewheel/cli/connection/platform.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

namespace tidewheel::cli {
namespace {

constexpr std::uintmax_t kMaxPlatformFileBytes = 1 << 20;

Error Problem(const std::filesystem::path& path, const std::string& what) {
  return {ErrorCode::kInvalidArgument, path.string() + ": " + what};
}

const google::protobuf::Value* Member(const google::protobuf::Struct& object,
                                      const std::string& key) {
  const auto found = object.fields().find(key);
  return found == object.fields().end() ? nullptr : &found->second;
}

}  // namespace

const std::vector<std::string>& ServiceNames() {
  static const std::vector<std::string> names = {"model-registry", "ingestion", "labeling",
                                                 "curation",       "training",  "monitoring",
                                                 "inference",      "console"};
  return names;
}

Result<std::filesystem::path> FindPlatformFile(const std::string& given) {
  if (!given.empty()) return std::filesystem::path(given);
  if (const char* named = std::getenv("TIDEWHEEL_PLATFORM"); named != nullptr && *named != '\0') {
    return std::filesystem::path(named);
  }
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  for (auto folder = here; !error; folder = folder.parent_path()) {
    auto candidate = folder / "var" / "run" / "platform.json";
    if (std::filesystem::exists(candidate, error)) return candidate;
    if (folder == folder.root_path()) break;
  }
  return Error{ErrorCode::kUnavailable,
               "no platform found: start one with ./tidewheel up, or name its platform.json with "
               "--platform or TIDEWHEEL_PLATFORM"};
}

Result<AddressTable> ReadPlatformFile(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    return Error{ErrorCode::kUnavailable,
                 path.string() + ": " + error.message() + "; is the platform running?"};
  }
  if (size > kMaxPlatformFileBytes) return Problem(path, "larger than 1 MiB");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{ErrorCode::kUnavailable, path.string() + ": cannot be read"};

  google::protobuf::Struct document;
  if (const auto parsed = google::protobuf::util::JsonStringToMessage(text.str(), &document);
      !parsed.ok()) {
    return Problem(path, "not a JSON object: " + parsed.ToString());
  }
  const auto* services = Member(document, "services");
  if (services == nullptr || !services->has_struct_value()) {
    return Problem(path, "no object \"services\"");
  }
  AddressTable addresses;
  for (const auto& [name, entry] : services->struct_value().fields()) {
    const auto* address = entry.has_struct_value() ? Member(entry.struct_value(), "grpc") : nullptr;
    if (address == nullptr || address->string_value().empty()) {
      return Problem(path, "services." + name + " has no text \"grpc\"");
    }
    addresses[name] = address->string_value();
  }
  return addresses;
}

Result<const AddressTable*> Platform::Addresses() {
  if (read_) return &addresses_;
  AddressTable given;
  for (const std::string& text : options_.addresses) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const auto& names = ServiceNames();
    if (equals == std::string::npos || equals + 1 == text.size() ||
        std::find(names.begin(), names.end(), name) == names.end()) {
      return Error{ErrorCode::kInvalidArgument,
                   "--address " + text + ": must be SERVICE=HOST:PORT with a service's name"};
    }
    given[name] = text.substr(equals + 1);
  }
  const auto file = FindPlatformFile(options_.file);
  if (file) {
    auto table = ReadPlatformFile(*file);
    if (!table) return table.error();
    addresses_ = *std::move(table);
  } else if (given.empty()) {
    return file.error();
  }
  for (auto& [name, address] : given) addresses_[name] = std::move(address);
  read_ = true;
  return &addresses_;
}

Result<std::string> Platform::AddressOf(std::string_view service) {
  const auto addresses = Addresses();
  if (!addresses) return addresses.error();
  const auto found = (*addresses)->find(service);
  if (found == (*addresses)->end()) {
    return Error{ErrorCode::kNotFound, "the platform has no service " + std::string(service)};
  }
  return found->second;
}

Result<std::shared_ptr<grpc::Channel>> Platform::ChannelTo(std::string_view service) {
  if (const auto open = channels_.find(service); open != channels_.end()) return open->second;
  const auto address = AddressOf(service);
  if (!address) return address.error();
  auto channel = rpc::OpenChannel(*address);
  channels_.emplace(service, channel);
  return channel;
}

Result<std::shared_ptr<grpc::Channel>> Platform::PlainChannelTo(std::string_view service) {
  const auto address = AddressOf(service);
  if (!address) return address.error();
  rpc::ChannelOptions options;
  options.attempts = 1;
  return rpc::OpenChannel(*address, options);
}

std::string Platform::ServiceOf(const google::protobuf::Descriptor& message) {
  std::string package = message.file()->package();
  const auto first = package.find('.');
  std::string name = package.substr(first + 1, package.rfind('.') - first - 1);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::uint64_t Platform::CountItems(const google::protobuf::Message& list) {
  const auto* descriptor = list.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    if (!descriptor->field(i)->is_repeated()) continue;
    return static_cast<std::uint64_t>(list.GetReflection()->FieldSize(list, descriptor->field(i)));
  }
  return 0;
}

}  // namespace tidewheel::cli
