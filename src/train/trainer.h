#pragma once
// One training run, from its recipe to its last checkpoint.

#include <memory>

#include "base/clock.h"
#include "checkpoint/training_checkpoint.h"
#include "data/data_loader.h"
#include "train/memory_plan.h"
#include "train/progress.h"
#include "train/resume.h"
#include "train/run_drafter.h"
#include "train/run_record.h"
#include "train/train_step.h"
#include "train/training_data.h"

namespace temper {

/// train.steps, or those of data.epochs.  Error{kConfig} if the data ends before train.steps.
int64_t count_steps(const LoadedRecipe& recipe, const DataLoader& loader);

/// Owns everything that a run consists of.
///
/// A run folder that holds a checkpoint is resumed: weights, optimizer state, position in the data and metrics go on as if the
/// run had never stopped, to the bit (every metric but times, on one instruction set and number of threads).
/// Ctrl-C ends a run after the step under way, with a checkpoint; an evaluation is cut short and made again by the resumed run.
class Trainer {
 public:
  /// Reads data and model.  Errors of the recipe, data, model and run folder show here, before the first step.
  explicit Trainer(const LoadedRecipe& recipe);
  ~Trainer();

  /// Trains to the last step.  Throws Interrupted after a clean stop.
  void run();
  int64_t total_steps() const { return total_steps_; }

 private:
  void note_damaged_checkpoints();
  void check_recipe_unchanged();
  void check_environment_unchanged();
  void start_or_resume();
  void note_drafter();
  void restore(const TrainingCheckpoint& checkpoint);
  void say_what_has_no_effect();
  void one_step();
  bool evaluation_due() const;
  void evaluate();
  void stop_if_asked();
  void checkpoint_if_due();
  void save_checkpoint(const char* cause);
  void expect_finite(const std::vector<CheckpointTensor>& tensors);
  void note_written_checkpoint(bool wait);
  void log_step(const StepBatch& batch, const StepResult& result, double lr, double data_seconds);

  LoadedRecipe loaded_;
  const TrainRecipe& recipe_;   // loaded_.recipe
  std::string resolved_;        // as resolved.toml

  RunRecord record_;
  Tokenizer tokenizer_;
  LoadedData data_;
  DataLoader loader_;
  int64_t total_steps_;
  MemoryPlan plan_;             // made when data are in memory and the model is not
  ResumePoint resume_;          // its checkpoint is open until the run has been restored
  bool resumed_ = false;
  Json environment_;            // this process's
  Json model_json_;             // the config.json the weights came with
  NamedFiles companions_;       // what goes with the weights into every checkpoint
  ModelWeights weights_;
  std::optional<DrafterRecord> drafter_;   // carried, not in weights_
  std::unique_ptr<StepModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  CheckpointWriter checkpoints_;
  Recovery recovery_;
  std::unique_ptr<Progress> progress_;

  int64_t step_ = 0;                          // steps done
  int64_t tokens_ = 0, trained_tokens_ = 0;   // seen so far
  bool finished_before_ = false;
  bool evaluation_missing_ = false;           // one is due at step_ and was not made, or was cut short
  int64_t last_checkpoint_step_ = -1;         // saved, or being written
  std::string writing_cause_;                 // of the one being written, empty if none
  Clock::time_point last_checkpoint_at_;
};

}  // namespace temper
