#include "tidewheel/ml/graph/torchscript_source.h"

#include <charconv>

namespace tidewheel::ml {
namespace {

std::string Pair(int number) {
  return "[" + std::to_string(number) + ", " + std::to_string(number) + "]";
}

/// The right side of one statement.
std::string Expression(const PlannedLayer& planned) {
  struct {
    const PlannedLayer& planned;
    std::string Own() const { return "self." + planned.weight + ", self." + planned.bias; }

    std::string operator()(const Conv2d& conv) const {
      return "torch.conv2d(x, " + Own() + ", [1, 1], " + Pair(conv.padding) + ")";
    }
    std::string operator()(const Relu&) const { return "torch.relu(x)"; }
    std::string operator()(const MaxPool& pool) const {
      return "torch.max_pool2d(x, " + Pair(pool.size) + ", " + Pair(pool.size) + ")";
    }
    std::string operator()(const GlobalAveragePool&) const { return "torch.mean(x, [2, 3], True)"; }
    std::string operator()(const Flatten&) const { return "torch.flatten(x, 1)"; }
    std::string operator()(const Linear&) const { return "torch.linear(x, " + Own() + ")"; }
    std::string operator()(const Dropout& dropout) const {
      char text[32];
      const auto end = std::to_chars(text, text + sizeof text, dropout.rate).ptr;
      std::string rate(text, end);
      // A whole number would be read as an integer.
      if (rate.find_first_of(".e") == std::string::npos) rate += ".0";
      return "torch.dropout(x, " + rate + ", self.training)";
    }
  } printer{planned};
  return std::visit(printer, planned.layer);
}

}  // namespace

std::string PrintTorchScript(const Architecture& architecture, const ArchitecturePlan& plan) {
  const bool embeds = architecture.embedding != 0;
  std::string source;
  const auto add_layers = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      source += "    x = " + Expression(plan.layers[i]) + "\n";
    }
  };
  if (embeds) {
    source += "def features(self, x: Tensor) -> Tensor:\n";
    add_layers(0, plan.last_linear);
    source += std::string("    return x\n\ndef embed(self, x: Tensor) -> Tensor:\n") +
              "    return torch.matmul(self.features(x), self." + kProjectionBuffer + ")\n\n";
  }
  source += "def logits(self, x: Tensor) -> Tensor:\n";
  if (embeds) source += "    x = self.features(x)\n";
  add_layers(embeds ? plan.last_linear : 0, plan.layers.size());
  source +=
      "    return x\n"
      "\n"
      "def forward(self, x: Tensor) -> Tensor:\n"
      "    return torch.softmax(self.logits(x) / self.temperature, 1)\n";
  return source;
}

}  // namespace tidewheel::ml
