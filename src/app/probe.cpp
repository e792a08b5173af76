#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/token_file.h"
#include "base/console.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/output.h"
#include "checkpoint/load_model.h"
#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/model.h"
#include "model/deepseek_v4/positions.h"
#include "objective/sft.h"
#include "tensor/from_list.h"
#include "tensor/probe.h"

namespace temper {
namespace {

struct ProbeOptions {
  std::string model, tokens, out, dtype = "float32";
  bool backward = false;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Every floating tensor of the checkpoint has a gradient; where nothing reaches it, zero.
void add_gradients(const ModelWeights& weights, NamedTensors& results) {
  for (const Parameter& parameter : weights.parameters()) {
    if (parameter.row.holds_ids()) continue;
    const Tensor grad = parameter.grad.defined() ? parameter.grad : parameter.master.new_zeros(parameter.master.sizes());
    results.emplace_back("grad." + parameter.row.name, grad.contiguous());
  }
}

int probe_command(const ProbeOptions& options) {
  auto out = std::make_unique<FileWriter>(options.out);   // before the work
  const bool to_standard_output = is_standard_output(options.out);
  LoadedModel loaded = load_model(options.model, {.compute_dtype = parse_dtype(options.dtype)});
  ModelWeights& weights = loaded.weights;
  const TokenFile tokens = read_token_file(options.tokens, weights.config().vocab_size);
  const Batch batch{.token_ids = tensor_of(tokens.input_ids), .labels = tensor_of(tokens.labels), .label_weights = {}, .document_lengths = tokens.document_lengths};
  if (!tokens.document_lengths.empty())
    warn_beyond_positions("the longest document", *std::max_element(tokens.document_lengths.begin(), tokens.document_lengths.end()), weights.config().max_positions);
  if (options.backward) weights.enable_gradients();
  const Model model(weights);

  NamedTensors probes;
  ForwardResult forward;
  {
    const ProbeScope scope([&](const std::string& name, const Tensor& value) {
      check_interrupt();
      probes.emplace_back("probe." + name, value.contiguous().clone());
    });
    ForwardOptions pass;
    pass.training = options.backward;
    forward = model.forward(batch, pass);
  }
  const Targets targets = shifted_targets(batch, weights.config().vocab_size);
  const double scale = targets.n_targets > 0 ? 1.0 / targets.weight_sum : 0.0;   // without targets loss and gradients are zero
  const SftLoss loss = options.backward ? sft_loss(forward.hidden, model.head(), targets, scale) : sft_loss_only(forward.hidden, model.head().value, targets);

  const Tensor logits = model.logits(forward.hidden).view({tokens.batch_size, tokens.seq_len, -1});
  NamedTensors results{{"logits", logits.to(at::kFloat)}, {"loss", logits.new_full({1}, loss.loss_sum * scale, at::kFloat)}};
  Json order = Json::array();
  for (const auto& [name, value] : probes) order.push_back(name);
  results.insert(results.end(), probes.begin(), probes.end());
  check_interrupt();
  if (options.backward) {
    model.backward(forward, loss.grad_hidden);
    add_gradients(weights, results);
  }
  write_safetensors(std::move(out), results, {{"format", "pt"}, {"dtype", options.dtype}, {"order", order.dump()}});
  const std::string summary = fmt::format("loss {:.6f} over {} targets, {} tensors in {}\n", loss.loss_sum * scale, targets.n_targets, results.size(), options.out);
  to_standard_output ? print_error(summary) : print_text(summary);
  return 0;
}

}  // namespace

void add_probe_command(const Command& program) {
  auto options = std::make_shared<ProbeOptions>();
  const Command command = program.add_command("probe", "Logits, loss, intermediate tensors and every gradient of a model, to compare with an oracle");
  command.option("--model", options->model, "model folder or training checkpoint").required();
  command.option("--tokens", options->tokens, "JSON: {\"input_ids\": [[...]], \"labels\": [[...]], \"document_lengths\": [[...]]}; the last two are optional").required();
  command.option("--out", options->out, "safetensors file: logits, loss, probe.<name>, grad.<released name>").required();
  command.flag("--backward", options->backward, "gradients as well");
  command.option("--dtype", options->dtype, "what is computed in").one_of({"float32", "bfloat16", "float64"}).show_default();
  command.footer(
      "Labels are aligned with the ids and shifted inside; -100 is not trained; without labels the ids are the labels.\n"
      "The loss is the mean over trained next-token targets.\n\n"
      "Examples:\n"
      "  temper probe --model mini-v4 --tokens tokens.json --out probe.safetensors\n"
      "  temper probe --model mini-v4 --tokens tokens.json --out probe.safetensors --backward --dtype bfloat16");
  command.run([options] { return probe_command(*options); });
}

}  // namespace temper
