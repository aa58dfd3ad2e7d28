#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models.h"
#include "tidewheel/base/result.h"
#include "tidewheel/testing/subprocess.h"

namespace tidewheel::bench {

/// The service as the platform runs it: a private PostgreSQL as its bus, a registry that stands in.
/// Two tasks of the same model: "plain", and "kept", of whose inputs a tenth is captured.
class Platform {
 public:
  static Result<std::unique_ptr<Platform>> Start(const std::filesystem::path& program,
                                                 const std::filesystem::path& folder,
                                                 const BenchModel& model);
  ~Platform();

  const std::string& address() const { return address_; }
  pid_t pid() const { return service_->pid(); }

  /// tidewheel.inference.v1.PredictRequest with one picture.
  static std::string PictureRequest(const std::string& task);

 private:
  struct Backing;
  Platform();
  std::unique_ptr<Backing> backing_;
  std::unique_ptr<testing::Subprocess> service_;
  std::string address_;
};

inline constexpr char kPredictMethod[] = "/tidewheel.inference.v1.InferenceService/Predict";

/// The stand-in's process: answers ListDeployments with the message in `file`, and prints where.
int ServeDeployments(const std::string& file);

/// The value of `key` in the line that a service says when it is ready.
std::string AddressIn(const std::string& ready_line, const std::string& key);

}  // namespace tidewheel::bench
