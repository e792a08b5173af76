#include "checkpoint/export.h"

#include <ATen/ops/all.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "checkpoint/companions.h"
#include "checkpoint/model_card.h"
#include "kernels/quant.h"
#include "model/deepseek_v4/released_json.h"

namespace temper {
namespace {

ModelConfig target_config(const WeightSource& source, const ExportOptions& options) {
  const ExportDtype dtype = options.dtype;
  ModelConfig config = source.mtp_missing() || options.drafter != kKeepDrafter ? without_mtp(source.config()) : source.config();
  config.quantized = dtype == ExportDtype::kFp8Fp4;
  config.scales_are_e8m0 = true;
  if (config.quantized && config.expert_encoding == Encoding::kPlain) config.expert_encoding = Encoding::kFp4Block32;
  return config;
}

// The dtype of a tensor without blocks.
StoredDtype plain_dtype(const WeightSource& source, const TensorRow& row, ExportDtype dtype) {
  if (row.holds_ids()) return StoredDtype::kI64;
  if (dtype == ExportDtype::kExact) return stored_dtype_of(source.exact_dtype(row));
  if (dtype == ExportDtype::kFloat32) return StoredDtype::kF32;
  return row.dtype;
}

bool fits_fp4(const WeightSource& source, const TensorRow& row) {
  bool fits = row.shape[1] % 2 == 0;
  source.for_each_part(row, [&](int64_t, const Tensor& part) {
    if (!fits) return;
    const Quantized q = quantize_fp4_block(part);
    fits = q.n_bad == 0 && at::equal(dequantize_fp4_block(q.codes, q.scales).value, part);
  });
  return fits;
}

// NVFP4 has finer scales than FP4.  Experts have one storage: FP4 if it holds the values of every matrix, else FP8.
void choose_for_nvfp4(const WeightSource& source, ModelConfig& target, ExportReport& report) {
  for (const TensorRow& row : tensor_map(target)) {
    if (row.encoding != Encoding::kFp4Block32 || source.encoding(row) != Encoding::kNvfp4) continue;
    check_interrupt();
    ++report.n_nvfp4;
    report.n_nvfp4_as_fp4 += fits_fp4(source, row);
  }
  if (report.n_nvfp4_as_fp4 < report.n_nvfp4) target.expert_encoding = Encoding::kFp8Block128;
}

// The source's tensors with the target's dtypes and encodings.
std::vector<TensorRow> plan_of(const WeightSource& source, const ModelConfig& target, ExportDtype dtype) {
  std::vector<TensorRow> plan = tensor_map(target);
  for (TensorRow& to : plan) {
    if (to.encoding == Encoding::kPlain) to.dtype = plain_dtype(source, to, dtype);
    if (to.encoding == Encoding::kFp4Block32 && to.shape[1] % 2 != 0)
      throw Error({.kind = ErrorKind::kConfig,
                   .what = fmt::format("{} [{}] has an odd number of columns: FP4 stores two in a byte", to.name, fmt::join(to.shape, ", ")),
                   .where = source.path().string(),
                   .fix = "export with --dtype bf16"});
  }
  return plan;
}

// The float type of most elements, as config.json names it.
std::string torch_dtype_of(const std::vector<TensorRow>& plan) {
  std::map<StoredDtype, int64_t> n_elements;
  for (const TensorRow& row : plan)
    if (row.encoding == Encoding::kPlain && !row.holds_ids()) n_elements[row.dtype] += row.numel();
  const auto most = std::max_element(n_elements.begin(), n_elements.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return dtype_name(scalar_type_of(most->first));
}

std::string config_text(const WeightSource& source, const ModelConfig& target, const std::string& torch_dtype, const Drafter* drafter) {
  Json json = released_json(target, source.config_json());
  json["torch_dtype"] = torch_dtype;
  json.erase("dtype");   // transformers' newer spelling
  if (drafter) set_dspark_keys(json, target, drafter->keys(), drafter->n_stages());
  else if (target.n_mtp_layers == 0) set_dspark_keys(json, target, Json::object(), 0);
  return json.dump(2) + "\n";
}

class Exporter {
 public:
  Exporter(const WeightSource& source, SafetensorsFolderWriter& writer, ExportReport& report) : source_(source), writer_(writer), report_(report) {}

  /// The tensor of the row; its scale is kept until write_scale.
  void write(const TensorRow& row) {
    rounded_ = false;
    if (row.encoding == Encoding::kPlain) plain(row);
    else blocks(row);
    report_.n_rounded += rounded_;
  }
  void write_scale(const std::string& name) {
    writer_.write(name, scales_.at(name));
    scales_.erase(name);
  }

 private:
  void plain(const TensorRow& row) {
    const at::ScalarType to = scalar_type_of(row.dtype);
    source_.for_each_part(row, [&](int64_t, const Tensor& part) {
      const Tensor value = part.to(to);
      if (to != part.scalar_type()) compare(value, part);
      if (value.is_floating_point() && !at::isfinite(value).all().item<bool>()) not_finite(row, at::isfinite(part).all().item<bool>() ? fmt::format(" as {}", dtype_name(to)) : "");
      writer_.write_part(row.name, value);
    });
  }

  void blocks(const TensorRow& row) {
    const bool fp4 = row.encoding == Encoding::kFp4Block32;
    std::vector<Tensor> scales;
    source_.for_each_part(row, [&](int64_t, const Tensor& part) {
      const Quantized q = fp4 ? quantize_fp4_block(part) : quantize_fp8_block(part);
      if (q.n_bad > 0) not_finite(row, fmt::format(" in {} blocks", q.n_bad));
      if (!rounded_) compare((fp4 ? dequantize_fp4_block(q.codes, q.scales) : dequantize_fp8_block(q.codes, q.scales)).value, part);
      writer_.write_part(row.name, q.codes);
      scales.push_back(q.scales.view(at::kByte));
    });
    const Tensor all = at::cat(scales, 0).view(at::ScalarType::Float8_e8m0fnu);
    if (fp4) report_.n_lossy_repacks += count_lossy_fp8_repacks(all);
    scales_[*row.scale_name()] = all;
  }

  [[noreturn]] void not_finite(const TensorRow& row, const std::string& in_what) const {
    throw Error({.kind = ErrorKind::kNumerics,
                 .what = fmt::format("{} has values that are not finite{}", row.name, in_what),
                 .where = source_.path().string(),
                 .fix = "export an earlier checkpoint of this run; a model that was fetched is fetched again"});
  }

  // Both widened to what holds them exactly.
  void compare(const Tensor& written, const Tensor& value) {
    const auto wide = value.scalar_type() == at::kDouble ? at::kDouble : value.scalar_type() == at::kLong ? at::kLong : at::kFloat;
    rounded_ = rounded_ || !at::equal(written.to(wide), value.to(wide));
  }

  const WeightSource& source_;
  SafetensorsFolderWriter& writer_;
  ExportReport& report_;
  bool rounded_ = false;
  std::unordered_map<std::string, Tensor> scales_;   // of tensors that are written already
};

// A log line every few seconds of long exports.
class ExportProgress {
 public:
  explicit ExportProgress(int64_t total) : total_(total), last_(Clock::now()) {}
  void advance() {
    ++done_;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::seconds(5)) return;
    last_ = now;
    log_info("export", "{} of {} tensors written", done_, total_);
  }

 private:
  int64_t total_, done_ = 0;
  Clock::time_point last_;
};

// "layers.3.ffn.w1.weight" -> "layers.*.ffn.w1.weight"
std::string name_of_all_alike(const std::string& name) {
  std::string result;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    const bool is_number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    result += (begin > 0 ? "." : "") + (is_number ? "*" : part);
    begin = end + 1;
  }
  return result;
}

}  // namespace

ExportDtype parse_export_dtype(const std::string& name) {
  if (name == "exact") return ExportDtype::kExact;
  if (name == "bf16") return ExportDtype::kBf16;
  if (name == "float32") return ExportDtype::kFloat32;
  if (name == "fp8-fp4") return ExportDtype::kFp8Fp4;
  throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("\"{}\" is no dtype of an export", name), .where = "--dtype", .fix = "use bf16, fp8-fp4, float32 or exact"});
}

std::vector<std::string> transformers_obstacles(const ModelConfig& config) {
  std::vector<std::string> obstacles;
  const auto add = [&](std::string text) {
    if (std::find(obstacles.begin(), obstacles.end(), text) == obstacles.end()) obstacles.push_back(std::move(text));
  };
  const auto fits = [](int64_t size) { return size <= 128 || size % 128 == 0; };
  for (const TensorRow& row : tensor_map(config)) {
    if (row.layer >= config.n_layers) continue;   // it ignores MTP
    const auto name = [&] { return name_of_all_alike(row.name); };
    if (row.encoding == Encoding::kFp8Block128 && (!fits(row.shape[0]) || !fits(row.shape[1])))
      add(fmt::format("{} [{}]: FP8 sizes must be at most 128 or multiples of 128", name(), fmt::join(row.shape, ", ")));
    if (row.encoding == Encoding::kFp4Block32 && row.shape[1] % 32 != 0)
      add(fmt::format("{} [{}]: FP4 inputs must be multiples of 32", name(), fmt::join(row.shape, ", ")));
  }
  if (config.quantized && config.expert_encoding == Encoding::kPlain) add("expert_dtype bf16 next to FP8: it knows fp8 and fp4 only");
  // It computes the rotary dims as int(head_dim * (rope_head_dim / head_dim)).
  const double fraction = static_cast<double>(config.rope_head_dim) / static_cast<double>(config.head_dim);
  if (const auto theirs = static_cast<int64_t>(static_cast<double>(config.head_dim) * fraction); theirs != config.rope_head_dim)
    add(fmt::format("head_dim {} with {} rotary dims: it would rotate {}", config.head_dim, config.rope_head_dim, theirs));
  return obstacles;
}

namespace {

// README.md, if there is something to say about the drafter, or was; the rest is the source's own.
std::optional<std::string> card_text(const WeightSource& source, const Drafter* drafter) {
  const fs::path file = (fs::is_directory(source.path()) ? source.path() : source.path().parent_path()) / "README.md";
  const std::optional<std::string> card = fs::is_regular_file(file) ? std::optional(read_file(file)) : std::nullopt;
  if (!drafter) {
    const std::string without = card ? card_with_section(card, "drafter", "") : "";
    return card && without != *card ? std::optional(without) : std::nullopt;
  }
  return card_with_section(card, "drafter",
                           fmt::format("## Drafter\n\nThe tensors under `mtp.` are a DSpark drafter of {} stages ({} tensors, {} bytes), copied byte for byte from `{}`.\n"
                                       "Note: {}.",
                                       drafter->n_stages(), drafter->tensors().size(), drafter->n_bytes(), drafter->folder().filename().string(), kDrafterNote));
}

void report_drafter(ExportReport& report, const WeightSource& source, const ExportOptions& options, const Drafter* drafter) {
  report.mtp_dropped = !source.mtp_missing() && source.config().n_mtp_layers > 0 && options.drafter != kKeepDrafter;
  report.drafter_dropped = source.carried_drafter() && options.drafter != kKeepDrafter;
  if (!drafter) return;
  report.n_carried_tensors = std::ssize(drafter->tensors());
  report.carried_bytes = drafter->n_bytes();
  report.drafter_folder = drafter->folder().string();
  if (options.drafter != kKeepDrafter || source.carried_drafter()->record) log_warn("export", "{}", kDrafterNote);
  if (options.dtype != ExportDtype::kFp8Fp4 && source.config().quantized)
    log_info("export", "the drafter keeps the storage it has; without quantization_config servers must tell it by its dtypes");
}

}  // namespace

ExportReport export_model(const WeightSource& source, const fs::path& to, const ExportOptions& options) {
  const WhileDoing work(fmt::format("exporting {} to {}", source.path().string(), to.string()));
  const std::optional<Drafter> drafter = choose_drafter(options.drafter, source.carried_drafter(), source.config());
  const Drafter* carried = drafter ? &*drafter : nullptr;
  NamedFiles companions;   // a bad one is found before the work
  for (const std::string& name : source.companions()) companions.emplace_back(name, source.companion(name));
  ExportReport report;
  ModelConfig target = target_config(source, options);
  choose_for_nvfp4(source, target, report);
  const std::vector<TensorRow> plan = plan_of(source, target, options.dtype);
  std::vector<StoredTensor> tensors = stored_tensors(plan, StoredDtype::kF8_E8M0);
  std::unordered_map<std::string, const CarriedTensor*> carried_tensors;
  for (const CarriedTensor& tensor : carried ? std::span(carried->tensors()) : std::span<const CarriedTensor>()) {
    tensors.push_back({.name = tensor.name, .dtype = tensor.entry.stored->dtype, .shape = tensor.entry.stored->shape});
    carried_tensors[tensor.name] = &tensor;
  }
  report_drafter(report, source, options, carried);
  report.n_tensors = static_cast<int64_t>(tensors.size());
  report.mtp_missing = source.mtp_missing();
  report.transformers_obstacles = transformers_obstacles(target);

  SafetensorsFolderWriter writer(to, std::move(tensors), {.max_shard_bytes = options.max_shard_bytes});
  report.data_bytes = writer.data_bytes();
  report.n_files = static_cast<int64_t>(writer.n_files());
  Exporter exporter(source, writer, report);
  std::unordered_map<std::string, const TensorRow*> rows;
  for (const TensorRow& row : plan) rows[row.name] = &row;
  ExportProgress progress(report.n_tensors);
  for (const std::string& name : writer.order()) {
    check_interrupt();
    if (const auto tensor = carried_tensors.find(name); tensor != carried_tensors.end())
      carried->for_each_part(*tensor->second, [&](const Tensor& part) { writer.write_part(name, part); });
    else if (const auto row = rows.find(name); row != rows.end()) exporter.write(*row->second);
    else exporter.write_scale(name);
    progress.advance();
  }
  writer.write_file("config.json", config_text(source, target, options.dtype == ExportDtype::kFp8Fp4 ? "bfloat16" : torch_dtype_of(plan), carried));
  report.written_files = {"config.json"};
  for (const auto& [name, content] : companions) {
    writer.write_file(name, content);
    report.written_files.push_back(name);
  }
  report.not_carried = source.not_carried();
  if (const auto card = card_text(source, carried)) {
    writer.write_file("README.md", *card);
    report.written_files.emplace_back("README.md");
    std::erase(report.not_carried, "README.md");
  }
  writer.finish();
  return report;
}

}  // namespace temper
