// The plan as text and JSON.

#include <fmt/format.h>

#include "train/memory_plan.h"

namespace temper {
namespace {

double gib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

std::string describe(const RecomputePolicies& recompute) {
  size_t attention = 0, ffn = 0;
  for (const RecomputePolicy& policy : recompute) attention += policy.attention, ffn += policy.ffn;
  if (attention + ffn == 0) return "nothing is computed again";
  return fmt::format("computed again: attention of {} and experts of {} of {} blocks", attention, ffn, recompute.size());
}

// "a" attention, "f" experts, "af" both, "-" nothing; of each block.
std::string letters(const RecomputePolicy& policy) {
  if (!policy.attention && !policy.ffn) return "-";
  return std::string(policy.attention ? "a" : "") + (policy.ffn ? "f" : "");
}

}  // namespace

std::string describe(const MemoryPlan& plan, int64_t measured_bytes) {
  std::string text = "memory in GiB, planned\n";
  for (const MemoryPlan::Row& row : plan.rows) text += fmt::format("  {:<42}{:>9.3f}\n", row.name, gib(row.bytes));
  text += fmt::format("  {:<42}{:>9.3f}\n", "total", gib(plan.total));
  if (measured_bytes > 0)
    text += fmt::format("  {:<42}{:>9.3f}  ({:+.1f} % of the plan)\n", "measured peak", gib(measured_bytes),
                        100 * (static_cast<double>(measured_bytes) / static_cast<double>(plan.total) - 1));
  text += fmt::format("  {}", describe(plan.recompute));
  if (plan.recomputed_share > 0) text += fmt::format(": {:.0f} % of the forward pass", 100 * plan.recomputed_share);
  return text + "\n";
}

Json to_json(const MemoryPlan& plan) {
  Json rows = Json::object(), recompute = Json::array();
  for (const MemoryPlan::Row& row : plan.rows) rows[row.name] = row.bytes;
  for (const RecomputePolicy& policy : plan.recompute) recompute.push_back(letters(policy));
  return {{"total_bytes", plan.total}, {"allocator_bytes", plan.allocator_bytes}, {"live_bytes", plan.live_bytes}, {"rows", rows}, {"recompute", recompute}, {"recomputed_share", plan.recomputed_share}};
}

MemoryPlan memory_plan_from_json(const Json& json) {
  MemoryPlan plan;
  plan.total = json.at("total_bytes").get<int64_t>();
  plan.allocator_bytes = json.at("allocator_bytes").get<int64_t>();
  plan.live_bytes = json.at("live_bytes").get<int64_t>();
  for (const auto& [name, bytes] : json.at("rows").items()) plan.rows.push_back({name, bytes.get<int64_t>()});
  for (const Json& policy : json.at("recompute")) {
    const auto text = policy.get<std::string>();
    plan.recompute.push_back({.attention = text.find('a') != std::string::npos, .ffn = text.find('f') != std::string::npos});
  }
  plan.recomputed_share = json.at("recomputed_share").get<double>();
  return plan;
}

}  // namespace temper
