#pragma once
// How a turn of a conversation says whether it is trained: the flags of several training programs, read as one weight.

#include <optional>
#include <string>

#include "base/json.h"

namespace temper {

/// What an object (a turn, or a whole row) says about its weight in the loss.
struct WeightFlags {
  std::optional<float> weight;   // nothing if it says nothing
  std::string problem;           // "" or why the flags cannot be used
};

/// Reads
///   weight   a number >= 0: 0 = not trained, 0.5 = half the loss
///   loss     true or false, or a number as in weight
///   train    true = trained, false = not
///   mask     true = not trained (the DeepSeek encoder's own key), false = trained
/// true and false are also taken as 1 and 0, and as text ("false", "no", "off", "0").  null counts as absent.  Two flags that differ are a problem.
WeightFlags weight_flags(const Json& object);

/// Says the weight with `weight` alone.
void set_weight(Json& object, float weight);

/// A key that looks like such a flag of a turn but is not read (train_detail, loss_weight, trainable, ...), or "".
std::string unread_flag_of_turn(const Json& turn);
/// The same of a row, where only keys made of such words alone count: rows have columns of any name ("train_id", "weight_kg").
std::string unread_flag_of_row(const Json& row);

}  // namespace temper
