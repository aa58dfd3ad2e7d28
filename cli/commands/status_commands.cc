#include <future>
#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/connection/standard_services.h"

namespace tidewheel::cli {
namespace {

Result<ExitStatus> Status(CommandLine& line) {
  auto& platform = line.platform();
  struct Row {
    std::string name;
    std::string address;
    std::future<rpc::HealthAnswer> answer;
  };
  // A service's state must not cost more than a glance; a longer wait can be had with --timeout.
  const auto deadline = std::min(platform.options().deadline, std::chrono::milliseconds(3'000));
  std::vector<Row> rows;
  for (const std::string& name : ServiceNames()) {
    const auto address = platform.AddressOf(name);
    if (!address && address.error().code != ErrorCode::kNotFound) return address.error();
    Row row{name, address ? *address : "", {}};
    if (address) {
      row.answer = std::async(std::launch::async, &cli::CheckHealth, *address, deadline);
    }
    rows.push_back(std::move(row));
  }
  bool all = true;
  JsonObject object;
  object.EnsureList("services");
  Table table({"SERVICE", "STATE", "ADDRESS", ">ANSWER", "PROBLEM"});
  for (Row& row : rows) {
    rpc::HealthAnswer answer;
    answer.problem = "the platform file does not name it";
    if (row.answer.valid()) answer = row.answer.get();
    const bool serving = answer.state == rpc::HealthAnswer::State::kServing;
    all = all && serving;
    const char* state = serving                                                 ? "serving"
                        : answer.state == rpc::HealthAnswer::State::kNotServing ? "not serving"
                                                                                : "unreachable";
    object.Add("services", JsonObject()
                               .Set("name", row.name)
                               .Set("address", row.address)
                               .Set("state", state)
                               .Set("problem", answer.problem)
                               .Set("answer_seconds", answer.seconds));
    table.Add({row.name, state, row.address, FormatNumber(answer.seconds * 1'000, 1) + " ms",
               answer.problem});
  }
  Print(line.json() ? object.Set("all_serving", all).Text() : table.Text());
  return all ? ExitStatus::kOk : ExitStatus::kUnavailable;
}

Result<ExitStatus> ListRpcs(CommandLine& line, const std::string& where) {
  std::string address = where;
  if (where.find(':') == std::string::npos) {
    const auto found = line.platform().AddressOf(where);
    if (!found) return found.error();
    address = *found;
  }
  const auto services = ListByReflection(address, line.platform().options().deadline);
  if (!services) return services.error();
  JsonObject object;
  object.Set("address", address).EnsureList("services");
  for (const auto& service : *services) {
    JsonObject entry;
    entry.Set("name", service.name).EnsureList("rpcs");
    if (!line.json()) Print(service.name + "\n");
    for (const auto& rpc : service.rpcs) {
      entry.Add("rpcs", JsonObject()
                            .Set("name", rpc.name)
                            .Set("request", rpc.request)
                            .Set("response", rpc.response)
                            .Set("client_streaming", rpc.client_streaming)
                            .Set("server_streaming", rpc.server_streaming));
      if (line.json()) continue;
      Print("  " + rpc.name + "(" + (rpc.client_streaming ? "stream " : "") + rpc.request +
            ") returns (" + (rpc.server_streaming ? "stream " : "") + rpc.response + ")\n");
    }
    object.Add("services", entry);
  }
  if (line.json()) Print(object.Text());
  return ExitStatus::kOk;
}

}  // namespace

void AddStatusCommands(CommandLine& line) {
  auto* command =
      line.AddCommand(&line.app(), "status", "Ask every service for its health (4: not all serve)");
  line.OnRun(command, [&line] { return Status(line); });

  auto* group = line.AddGroup("rpc", "What a server offers");
  const auto address = std::make_shared<std::string>();
  command = line.AddCommand(group, "list", "List services and rpcs by reflection");
  command->add_option("ADDRESS", *address, "HOST:PORT or a service's name")->required();
  line.OnRun(command, [&line, address] { return ListRpcs(line, *address); });
}

}  // namespace tidewheel::cli
