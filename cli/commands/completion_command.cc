#include <memory>

#include "tidewheel/cli/commands/command.h"

namespace tidewheel::cli {
namespace {

struct Words {
  std::string options;  // Of the command itself.
  std::string commands;
};

std::string OptionNames(const CLI::App& app) {
  std::string names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names += "--" + name + " ";
  }
  return names;
}

Words WordsOf(const CLI::App& app) {
  Words words{OptionNames(app), ""};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.commands += command->get_name() + " ";
  }
  return words;
}

// One case a command: what may follow it.
void AddCases(const CLI::App& app, const std::string& path, const std::string& global,
              std::string* cases) {
  const Words words = WordsOf(app);
  *cases += "    '" + path + "')\n      commands='" + words.commands + "'\n      options='" +
            words.options + (path.empty() ? "" : global) + "' ;;\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    AddCases(*command, path + "/" + command->get_name(), global, cases);
  }
}

std::string Script(const CLI::App& app, bool zsh) {
  std::string cases;
  AddCases(app, "", OptionNames(app), &cases);
  std::string script;
  if (zsh) script += "#compdef tidewheel\nautoload -U +X bashcompinit && bashcompinit\n";
  script +=
      "# Completion of tidewheel, made from its own commands.\n"
      "_tidewheel_words() {\n"
      "  case \"$1\" in\n" +
      cases +
      "    *) return 1 ;;\n"
      "  esac\n"
      "}\n"
      "_tidewheel() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" path='' commands='' options='' i word\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    word=\"${COMP_WORDS[i]}\"\n"
      "    case \"$word\" in -*) continue ;; esac\n"
      "    _tidewheel_words \"$path\"\n"
      "    case \" $commands \" in *\" $word \"*) path=\"$path/$word\" ;; esac\n"
      "  done\n"
      "  _tidewheel_words \"$path\"\n"
      "  case \"$current\" in\n"
      "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$current\")) ;;\n"
      "    *)\n"
      "      COMPREPLY=($(compgen -W \"$commands\" -- \"$current\"))\n"
      "      if [ -z \"$commands\" ]; then COMPREPLY=($(compgen -f -- \"$current\")); fi ;;\n"
      "  esac\n"
      "}\n"
      "complete -o filenames -F _tidewheel tidewheel ./tidewheel\n";
  return script;
}

}  // namespace

void AddCompletionCommand(CommandLine& line) {
  const auto shell = std::make_shared<std::string>();
  auto* command = line.AddCommand(&line.app(), "completion",
                                  "Print shell completion: source <(tidewheel completion bash)");
  command->add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  line.OnRun(command, [&line, shell]() -> Result<ExitStatus> {
    Print(Script(line.app(), *shell == "zsh"));
    return ExitStatus::kOk;
  });
}

}  // namespace tidewheel::cli
