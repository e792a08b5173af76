#pragma once
// Rows -> tokens for the two supervised stages.

#include "data/load_samples.h"
#include "data/tokenizer.h"
#include "train/recipe.h"

namespace temper {

/// The encoder of a stage.  Text: beginning-of-text token, text, end token (where the tokenizer has them), every token
/// trained.  Conversations: the chat encoding, the assistant's tokens trained.
/// cpt takes text only, sft takes both; a row of the other kind is a bad row.
SampleEncoder stage_encoder(const std::string& stage, const Tokenizer& tokenizer, const DataConfig& config);

/// Reads, encodes and splits all data of a recipe.  Warns, here and in the report, of samples longer than the model's
/// max_position_embeddings.
/// Error{kData} for data with nothing to train, Error{kCheckpoint} for a tokenizer with more tokens than the model.
LoadedData load_training_data(const LoadedRecipe& recipe, const Tokenizer& tokenizer);

/// What was read, for people: the sources, samples and tokens.
std::string describe(const LoadedData& data);

}  // namespace temper
