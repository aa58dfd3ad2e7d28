#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/inference/app.h"
#include "tidewheel/inference/config.h"
#include "tidewheel/inference/repository/repository_app.h"
#include "tidewheel/rpc/service_main.h"

namespace {

constexpr char kUsage[] =
    "tidewheel inference serves what the registry deploys, or, with --model-repository, a folder "
    "of models:\n"
    "  --model-repository DIR     <name>/<version>/model.onnx and so on, perhaps "
    "<name>/config.pbtxt\n"
    "  --model-control-mode MODE  none (all at the start), poll or explicit\n"
    "  --load-model NAME          at the start, in the mode explicit; may be repeated; * is all\n"
    "  --repository-poll-secs N   between two looks at the folder, in the mode poll\n"
    "  --grpc-port, --http-port, --metrics-port N   on 127.0.0.1, 8001, 8000 and 8002 unless "
    "said;\n"
    "                             0 takes a free one; --set listen=HOST:PORT for other "
    "addresses\n\n";

/// The words of the field's servers, as the settings that they are here.
struct Words {
  std::vector<std::string> arguments{};
  std::string load{};
  bool repository = false;
  bool help = false;

  /// The setting that a word with a value is; empty: it is none of them.
  std::string SettingOf(std::string_view word, const std::string& value) {
    if (word == "--model-repository") {
      repository = true;
      return "repository.folder=" + value;
    }
    if (word == "--model-control-mode") return "repository.mode=" + value;
    if (word == "--repository-poll-secs") return "repository.poll_every=" + value + "s";
    if (word == "--grpc-port") return "listen=127.0.0.1:" + value;
    if (word == "--http-port") return "http_listen=127.0.0.1:" + value;
    if (word == "--metrics-port") return "metrics_listen=127.0.0.1:" + value;
    return "";
  }

  void Read(int argc, char** argv) {
    for (int i = 0; i < argc; ++i) {
      const std::string given = argv[i];
      const auto equals = given.find('=');
      const std::string word = given.substr(0, equals);
      help = help || word == "--help";
      const bool last = i + 1 >= argc;
      const std::string value = equals != std::string::npos ? given.substr(equals + 1)
                                : last                      ? ""
                                                            : argv[i + 1];
      const bool has_value = equals != std::string::npos || !last;
      if (word == "--load-model" && has_value) {
        load += (load.empty() ? "" : ",") + value;
      } else if (const std::string setting = SettingOf(word, value);
                 !setting.empty() && has_value) {
        arguments.insert(arguments.end(), {"--set", setting});
      } else {
        arguments.push_back(given);
        continue;
      }
      if (equals == std::string::npos) ++i;
    }
    if (!load.empty()) arguments.insert(arguments.end(), {"--set", "repository.load=" + load});
  }
};

}  // namespace

int main(int argc, char** argv) {
  namespace inference = tidewheel::inference;
  Words words;
  words.Read(argc, argv);
  if (words.help) std::fputs(kUsage, stdout);
  std::vector<char*> arguments;
  for (std::string& argument : words.arguments) arguments.push_back(argument.data());
  const int count = static_cast<int>(arguments.size());
  if (words.repository) {
    return tidewheel::rpc::ServiceMain<inference::RepositoryConfig, inference::RepositoryApp>(
        "inference", count, arguments.data());
  }
  // Nothing to migrate: this service owns no schema.
  return tidewheel::rpc::ServiceMain<inference::Config, inference::App>("inference", count,
                                                                        arguments.data());
}
