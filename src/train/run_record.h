#pragma once
// The run folder: what a run was asked to do, where it ran, what happened.
//
//   resolved.toml        every setting, defaults included
//   environment.json     versions, machine, device of the newest start; "earlier": those of the starts before, the oldest first
//   metrics.jsonl        one object a line: {"step": 12, "train/loss": ..., ...}; names of wall-clock values start with "time/"
//   events.out.tfevents* the same numbers for TensorBoard
//   events.jsonl         the audit record: start, resume, data, warning, memory (the plan), checkpoint, skip, evaluation, stop, finish, each with its cause;
//                        of a run that goes on also environment_changed, recipe_changed, records_damaged, checkpoint_damaged
//   checkpoints/         checkpoint/training_checkpoint.h

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/report/metrics_check.h"
#include "train/event_file.h"

namespace temper {

/// Methods from one thread.  A full or unwritable disk is Error{kResource}.
class RunRecord {
 public:
  /// Makes the folder, or opens it.  Error{kResource} if it cannot be written or another process is training in it.
  explicit RunRecord(const fs::path& folder);
  ~RunRecord();
  RunRecord(const RunRecord&) = delete;
  RunRecord& operator=(const RunRecord&) = delete;

  const fs::path& folder() const { return folder_; }
  fs::path checkpoints() const { return folder_ / "checkpoints"; }

  /// resolved.toml of an earlier start, if there was one.
  std::optional<std::string> earlier_recipe() const;
  void write_recipe(const std::string& toml);
  /// environment.json of an earlier start; null if there is none or it is damaged.
  Json earlier_environment() const;
  /// `step`: the run goes on from it, 0 = it begins.
  void write_environment(Json environment, int64_t step);

  /// Drops metrics after `step` (-1 = all): they belong to steps that are done again.  Opens the files for appending.
  /// Returns what is missing or damaged of those that should be there.
  MetricsCheck start_at(int64_t step);
  /// True if the metrics of `step` hold `name` already.
  bool has_metric(int64_t step, const std::string& name) const;

  /// One line of metrics.jsonl and one TensorBoard event.  NaN and infinities are written as null.
  void metrics(int64_t step, const std::vector<Scalar>& values);
  /// One line of events.jsonl: {"time": ..., "event": kind, "step": ..., ...details}.
  void event(const std::string& kind, int64_t step, const Json& details = Json::object());
  /// Metrics written so far survive a power loss.  Call before a checkpoint that supersedes them.
  void flush();

 private:
  fs::path folder_;
  int lock_ = -1, metrics_ = -1, events_ = -1;
  std::unique_ptr<EventFile> board_;
};

/// Commit, versions, instruction set, threads, kernels, memory, host.
Json describe_environment();

}  // namespace temper
