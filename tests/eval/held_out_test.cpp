#include "eval/held_out.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/model_answers.h"
#include "eval/summary.h"
#include "model/deepseek_v4/init.h"
#include "model/deepseek_v4/model.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"
#include "tensor/from_list.h"
#include "test_places.h"

namespace temper {
namespace {

const fs::path kTokenizer = fs::path(TEMPER_SOURCE_DIR) / "examples/mini-v4/tokenizer";

ModelConfig config_for(const Tokenizer& tokenizer) {
  ModelConfig config = test::tiny_config();
  config.vocab_size = tokenizer.vocab_size();
  return config;
}

// The same by the plain definition: logits of one sample alone, log-softmax in double.
double nll_of(const Model& model, const EncodedSample& sample) {
  const std::vector<int64_t> ids(sample.ids.begin(), sample.ids.end());
  Batch batch;
  batch.token_ids = tensor_of(ids);
  batch.document_lengths = {static_cast<int64_t>(ids.size())};
  ForwardOptions options;
  options.training = false;
  const Tensor logits = model.logits(model.forward(batch, options).hidden).to(at::kDouble).contiguous();
  double nll = 0;
  for (size_t i = 1; i < ids.size(); ++i) {
    const double* row = logits.const_data_ptr<double>() + (i - 1) * logits.size(1);
    double sum = 0;
    for (int64_t v = 0; v < logits.size(1); ++v) sum += std::exp(row[v]);
    nll += (std::log(sum) - row[ids[i]]) * (sample.weights[i] > 0 ? sample.weights[i] : 0.0);
  }
  return nll;
}

TEST(HeldOut, RowsAreThePlainSumsOfTheirSamples) {
  const Tokenizer tokenizer = Tokenizer::load(kTokenizer);
  ModelWeights weights(config_for(tokenizer), {.mtp = false});
  initialise(weights, {.std = 0.05});
  SampleStore samples;
  std::vector<EncodedSample> encoded;
  for (const char* s : {"once upon a time there was a little dog.", "the end", "she went to the park and saw a big red ball in the tree."}) {
    EncodedSample sample{tokenizer.encode_ordinary(s), {}};
    sample.weights.assign(sample.ids.size(), 1);
    encoded.push_back(sample);
  }
  encoded[2].weights[3] = 0;     // not trained
  encoded[2].weights[4] = 0.5;
  for (const EncodedSample& sample : encoded) samples.add(sample, 0);

  const SuiteResult result = held_out_rows(weights, tokenizer, samples);
  const Model model(weights);
  ASSERT_EQ(result.rows.size(), 3u);
  double nll = 0, tokens = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(result.rows[i].at("nll").get<double>(), nll_of(model, encoded[i]), 1e-3) << i;   // about 20 fp32 logprobs near 7.6
    nll += result.rows[i].at("nll").get<double>();
    tokens += result.rows[i].at("tokens").get<double>();
  }
  EXPECT_EQ(result.rows[2].at("tokens").get<double>(), static_cast<double>(encoded[2].ids.size()) - 1 - 1.5);
  const MetricValue loss = summarise(*make_held_out(), result.rows)[0];
  EXPECT_NEAR(loss.value, nll / tokens, 1e-9);   // weighted by tokens, not a mean of means
  EXPECT_LT(loss.interval.low, loss.value);
  EXPECT_GT(loss.interval.high, loss.value);
}

TEST(HeldOut, HasNothingToGrade) { EXPECT_ERROR(make_held_out()->grade(0, {}), ErrorKind::kConfig, "heldout"); }

class AnsweringModelTest : public ::testing::Test {
 protected:
  AnsweringModelTest() {
    const Tokenizer tokenizer = Tokenizer::load(kTokenizer);
    const ModelConfig config = config_for(tokenizer);
    test::write_model_folder(folder_.path(), config, test::random_stored_tensors(config));
    for (const auto& file : fs::directory_iterator(kTokenizer)) fs::copy(file, folder_ / file.path().filename().string());
  }
  const test::TempFolder folder_;
  const std::vector<Question> questions_ = {{"a", "tell a story"}, {"b", "what is a dog?", "a dog is", " is"}, {"c", "sing"}};
};

TEST_F(AnsweringModelTest, AnswersInOrderAndAlikeInEveryBatch) {
  AnsweringModel together({.model = folder_.path(), .max_new_tokens = 6}), alone({.model = folder_.path(), .max_batch = 1, .max_new_tokens = 6});
  const ModelAnswers a = together.answer("x", questions_, {}), b = alone.answer("x", questions_, {});
  ASSERT_EQ(a.answers.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(a.answers[i].response, b.answers[i].response);
  EXPECT_GT(a.n_new_tokens, 0);
  EXPECT_LE(a.n_cut, 3);
}

TEST_F(AnsweringModelTest, InPlainFormTheAnswerBeginsWithWhatThePromptHasSaid) {
  AnsweringModel model({.model = folder_.path(), .plain = true, .max_new_tokens = 4});
  const ModelAnswers answers = model.answer("x", questions_, {});
  EXPECT_TRUE(answers.answers[1].response.starts_with(" is"));
}

}  // namespace
}  // namespace temper
