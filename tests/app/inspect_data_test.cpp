// What temper inspect says of training data, against the path of training itself.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "app/inspection.h"
#include "data/chat_encoding.h"
#include "data/data_loader.h"
#include "support/expect_error.h"
#include "support/tiny_run.h"
#include "train/dry_run.h"
#include "train/training_data.h"
#include "train/training_sample.h"

namespace temper {
namespace {

struct DataSet {
  const char *name, *rows;
};

/// Rows of every shape, usable and not.
const std::vector<DataSet>& data_sets() {
  static const std::vector<DataSet> sets = {
      {"single.jsonl", R"({"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":"once there was a cat."}]})"},
      {"turns.jsonl", R"({"messages":[{"role":"system","content":"be short"},{"role":"user","content":"a"},{"role":"assistant","reasoning_content":"r1","content":"b"},{"role":"user","content":"c"},{"role":"assistant","reasoning_content":"r2","content":"d 世界"}]}
{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"<think>hm</think>y"}]})"},
      {"weights.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"not this","weight":0},{"role":"user","content":"b"},{"role":"assistant","content":"half of it","weight":0.5},{"role":"user","content":"c"},{"role":"assistant","content":"all"}]})"},
      {"tools.jsonl", R"({"messages":[{"role":"system","content":"s","tools":[{"type":"function","function":{"name":"f"}}]},{"role":"user","content":"tell"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}}]},{"role":"tool","tool_call_id":"c1","content":"x"},{"role":"assistant","content":"once"}]})"},
      {"tool_result_null.jsonl", R"({"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}}]},{"role":"tool","tool_call_id":"c1","content":null},{"role":"assistant","content":"once"}]})"},
      {"tool_no_args.jsonl", R"({"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"c1","content":"x"},{"role":"assistant","content":"once"}]})"},
      {"mixed.jsonl", R"({"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":"once"}]}
{"conversations":[{"from":"human","value":"tell"},{"from":"gpt","value":"once"}]})"},
      {"empty.jsonl", "\n"},
      {"not_json.jsonl", "{\"messages\": [\n"},
      {"alpaca.jsonl", R"({"instruction":"tell","input":"a story","output":"once","history":[["q","a"]]}
{"instruction":"tell","output":"upon"})"},
      {"sharegpt.jsonl", R"({"conversations":[{"from":"human","value":"tell"},{"from":"gpt","value":"once"},{"from":"human","value":"more"},{"from":"gpt","value":"upon"}]})"},
      {"prompt_completion.jsonl", R"({"prompt":"tell","completion":"once"}
{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]})"},
      {"preference.jsonl", R"({"prompt":"a","chosen":"b","rejected":"c"})"},
      {"untrained.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","mask":1}]})"},
      {"user_last.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]})"},
      {"system_last.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"system","content":"s"}]})"},
      {"system_only.jsonl", R"({"messages":[{"role":"system","content":"s"}]})"},
      {"unasked.jsonl", R"({"messages":[{"role":"system","content":"s"},{"role":"latest_reminder","content":"d"},{"role":"assistant","content":"b"}]})"},
      {"texts.jsonl", R"({"text":"once there was a little cat and a little dog who liked to play with the red ball in the park and they were happy. once there was a cat."}
{"text":"short"})"},
      {"long.jsonl", R"({"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":"once there was a little cat and a little dog who liked to play with the red ball in the park and they were happy and they were happy"}]}
{"messages":[{"role":"user","content":"tell"},{"role":"assistant","content":"short"}]})"},
      {"document.txt", "once there was a cat.\n\na dog and a ball\n"},
      {"some_bad.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}
{"messages":[{"role":"assistant","content":"b"}]}
{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"w"}]})"},
  };
  return sets;
}

/// A folder with a tiny model, a recipe for stage sft, and the data sets.
struct Workshop {
  test::TempFolder folder;

  Workshop() {
    test::write_tiny_run(folder.path());
    for (const DataSet& set : data_sets()) {
      write_file_atomic(folder / set.name, set.rows);
      write_file_atomic(recipe_of(set.name), fmt::format("stage = \"sft\"\nrun_folder = \"{}\"\n[model]\nconfig = \"config.json\"\ntokenizer = \"tokenizer\"\n"
                                                         "[data]\nmicro_batch = 2\naccumulation_steps = 2\n[[data.sources]]\npath = \"{}\"\n[train]\ndtype = \"float32\"\n",
                                                         (folder / "run").string(), set.name));
    }
  }
  std::string recipe_of(const std::string& file) const { return folder / (file + ".toml"); }
  DataView view(const std::vector<std::string>& settings) const { return {.recipe = recipe_of("single.jsonl"), .overrides = settings}; }
};

const std::vector<std::vector<std::string>>& settings() {
  static const std::vector<std::vector<std::string>> all = [] {
    std::vector<std::vector<std::string>> made;
    for (const char* mode : {"chat", "thinking"})
      for (const char* bad : {"stop", "skip"})
        for (const char* length : {"error", "skip", "truncate"})
          made.push_back({fmt::format("data.thinking_mode=\"{}\"", mode), fmt::format("data.on_bad_row=\"{}\"", bad), fmt::format("data.on_over_length=\"{}\"", length),
                          fmt::format("data.packing=\"{}\"", made.size() % 2 == 0 ? "best_fit" : "none"), "data.sequence_length=64"});
    return made;
  }();
  return all;
}

TEST(InspectData, InspectDryRunSampleAndTrainingAgreeOnEveryShapeAndSetting) {
  const Workshop w;
  int n_used = 0, n_refused = 0;
  for (const DataSet& set : data_sets())
    for (const auto& setting : settings()) {
      SCOPED_TRACE(fmt::format("{} {} {} {} {}", set.name, setting[0], setting[1], setting[2], setting[3]));
      const LoadedRecipe recipe = load_recipe(w.recipe_of(set.name), setting);
      const Tokenizer tokenizer = Tokenizer::load(recipe.tokenizer_path());
      const Inspection seen = inspect_path(w.folder / set.name, false, w.view(setting));
      std::optional<LoadedData> data;
      try {
        data = load_training_data(recipe, tokenizer);
      } catch (const Error& error) {
        ++n_refused;
        ASSERT_TRUE(seen.refused) << seen.text;
        EXPECT_EQ(seen.refused->parts().what, error.parts().what);
        EXPECT_EQ(seen.refused->parts().fix, error.parts().fix);
        EXPECT_EQ(seen.refused->exit_code(), error.exit_code());
        EXPECT_ERROR(describe_run(recipe), error.kind(), error.parts().what);
        EXPECT_ERROR(inspect_sample((w.folder / set.name).string(), w.view(setting), false), error.kind(), error.parts().what);
        continue;
      }
      ++n_used;
      ASSERT_FALSE(seen.refused) << seen.refused->what();
      EXPECT_EQ(seen.json.at("usable"), true);
      const LoadReport::Source& source = data->report.sources.at(0);
      EXPECT_EQ(seen.json.at("rows"), source.n_rows);
      EXPECT_EQ(seen.json.at("bad_rows"), source.n_bad);
      EXPECT_EQ(seen.json.at("over_length_rows"), source.n_over_length);
      EXPECT_EQ(seen.json.at("cut_rows"), source.n_truncated);
      EXPECT_EQ(seen.json.at("samples"), data->train->size());
      EXPECT_EQ(seen.json.at("tokens"), data->train->n_tokens());
      EXPECT_EQ(seen.json.at("trained_tokens"), data->train->n_trained_tokens());
      const std::string dry_run = describe_run(recipe);
      EXPECT_NE(dry_run.find(describe(*data)), std::string::npos) << dry_run << "\n---\n" << describe(*data);

      // All samples of the epoch, one after another, are the batches of the loader.
      const DataLoader loader(data->train, recipe.recipe.data);
      int64_t index = 0, n_tokens = 0, n_trained = 0;
      for (int64_t step = 0; step < loader.n_steps(); ++step)
        for (const Batch& batch : loader.batch_at(step).micro_batches) {
          int64_t at = 0, document = 0;
          while (at < batch.token_ids.size(0)) {
            const Inspection sample = inspect_sample(fmt::format("{}:{}", (w.folder / set.name).string(), index), w.view(setting), false);
            EXPECT_EQ(sample.json.at("sample"), index++);
            for (const Json& token : sample.json.at("tokens")) {
              ASSERT_LT(at, batch.token_ids.size(0));
              const bool trained = batch.labels[at].item<int64_t>() != kIgnoredLabel;
              EXPECT_EQ(token.at("id"), batch.token_ids[at].item<int64_t>());
              EXPECT_EQ(token.at("trained"), trained);
              const float weight = !trained ? 0.0f : batch.label_weights.defined() ? batch.label_weights[at].item<float>() : 1.0f;
              EXPECT_EQ(token.at("weight").get<float>(), weight);
              n_trained += trained;
              ++at;
            }
            for (const Json& d : sample.json.at("documents")) EXPECT_EQ(d.at("n_tokens"), batch.document_lengths.at(document++));
          }
          n_tokens += at;
        }
      EXPECT_EQ(n_tokens, data->train->n_tokens());
      EXPECT_EQ(n_trained, data->train->n_trained_tokens());
      EXPECT_ERROR(inspect_sample(fmt::format("{}:{}", (w.folder / set.name).string(), index), w.view(setting), false), ErrorKind::kData, fmt::format("over the data takes {}", index));
    }
  EXPECT_GT(n_used, 75);
  EXPECT_GT(n_refused, 50);
}

TEST(InspectSample, SpansAreTheBytesOfTheRenderedConversation) {
  const Workshop w;
  const std::vector<std::string> setting = {"data.thinking_mode=\"thinking\"", "data.shuffle=false", "data.packing=\"none\""};
  const Inspection sample = inspect_sample((w.folder / "turns.jsonl").string() + ":1", w.view(setting), false);
  const Json row = Json::parse(read_file(w.folder / "turns.jsonl").substr(0, read_file(w.folder / "turns.jsonl").find('\n')));
  const std::string rendered = render_chat(Conversation::from_json(row, "row"), {.thinking_mode = "thinking"});
  const Json& document = sample.json.at("documents").at(0);
  EXPECT_EQ(document.at("text"), rendered);
  EXPECT_EQ(document.at("source"), (w.folder / "turns.jsonl").string());
  EXPECT_EQ(document.at("row"), 0);
  EXPECT_EQ(document.at("line"), 1);
  EXPECT_EQ(document.at("part"), 1);   // the second turn with its own reasoning
  EXPECT_EQ(document.at("first_token"), 0);
  int64_t end = 0, n_trained = 0;
  std::string trained_text;
  for (const Json& token : sample.json.at("tokens")) {
    EXPECT_EQ(token.at("begin"), end);
    end = token.at("end");
    EXPECT_EQ(token.at("row"), 0);
    const std::string slice = rendered.substr(token.at("begin"), end - token.at("begin").get<int64_t>());
    EXPECT_EQ(token.at("text"), slice);
    if (token.at("trained")) trained_text += slice, ++n_trained;
  }
  EXPECT_EQ(end, static_cast<int64_t>(rendered.size()));
  EXPECT_EQ(document.at("n_trained"), n_trained);
  EXPECT_EQ(trained_text, "r2</think>d 世界<｜end▁of▁sentence｜>");
}

// A cut through a character: places stay those of bytes, and the JSON is valid.
TEST(InspectSample, SpansHoldWhereACutDividesACharacter) {
  const Workshop w;
  write_file_atomic(w.folder / "chinese.jsonl", R"({"text":"世界你好世界你好世界你好世界你好"})");
  int64_t n_tokens = 0, n_divided = 0;
  for (int part = 0; part < 4; ++part) {
    const Inspection sample = inspect_sample(fmt::format("{}:{}", (w.folder / "chinese.jsonl").string(), part), w.view({"data.sequence_length=14", "data.shuffle=false", "data.packing=none"}), false);
    const Json again = Json::parse(sample.json.dump(-1, ' ', false, Json::error_handler_t::replace));
    const std::string text = again.at("documents").at(0).at("text");
    EXPECT_EQ(again.at("documents").at(0).at("part"), part);
    n_divided += text.find('?') != std::string::npos;
    int64_t end = 0;
    for (const Json& token : again.at("tokens")) {
      EXPECT_EQ(token.at("begin"), end);
      end = token.at("end");
      ++n_tokens;
    }
    EXPECT_EQ(end, static_cast<int64_t>(text.size()));
  }
  EXPECT_EQ(n_tokens, 50 + 3);   // 48 bytes, BOS and EOS; each later piece begins with the last token of the one before
  EXPECT_GT(n_divided, 0);
}

TEST(InspectSample, APackedRowNamesTheLineOfEachOfItsDocuments) {
  const Workshop w;
  const Inspection sample = inspect_sample((w.folder / "some_bad.jsonl").string(), w.view({"data.on_bad_row=\"skip\"", "data.shuffle=false"}), false);
  ASSERT_EQ(sample.json.at("documents").size(), 2u);
  std::set<int64_t> lines, rows;
  for (const Json& d : sample.json.at("documents")) {
    lines.insert(d.at("line").get<int64_t>());
    rows.insert(d.at("row").get<int64_t>());
    EXPECT_NE(d.at("text").get<std::string>().find(d.at("line") == 1 ? "</think>b" : "</think>w"), std::string::npos);
  }
  EXPECT_EQ(lines, (std::set<int64_t>{1, 3}));
  EXPECT_EQ(rows, (std::set<int64_t>{0, 2}));
  for (const Json& d : sample.json.at("documents")) EXPECT_EQ(sample.json.at("tokens").at(d.at("first_token").get<size_t>()).at("text"), "<｜begin▁of▁sentence｜>");
}

TEST(InspectSample, MarksTrainedStretchesAndTheirWeight) {
  const Workshop w;
  const std::string text = inspect_sample((w.folder / "weights.jsonl").string(), w.view({}), false).text;
  EXPECT_NE(text.find("</think>not this<"), std::string::npos) << text;
  EXPECT_NE(text.find("</think>⟦0.5: half of it<｜end▁of▁sentence｜>⟧"), std::string::npos) << text;
  EXPECT_NE(text.find("</think>⟦all<｜end▁of▁sentence｜>⟧"), std::string::npos) << text;
  const std::string coloured = inspect_sample((w.folder / "weights.jsonl").string(), w.view({}), true).text;
  EXPECT_NE(coloured.find("\x1b[32mall"), std::string::npos);
}

TEST(InspectSample, NeedsATokenizerAndANumber) {
  const Workshop w;
  const std::string file = w.folder / "single.jsonl";
  EXPECT_ERROR(inspect_sample(file, {}, false), ErrorKind::kConfig, "--recipe");
  EXPECT_ERROR(inspect_sample(file + ":x", w.view({}), false), ErrorKind::kData, "not the number");
  EXPECT_EQ(inspect_sample(file, {.tokenizer = w.folder / "tokenizer"}, false).json.at("documents").size(), 1u);
}

// Without a recipe the default settings count; without a tokenizer rows are judged all the same, but not their length.
TEST(InspectData, JudgesWithoutARecipe) {
  const Workshop w;
  for (const char* name : {"tool_result_null.jsonl", "tool_no_args.jsonl", "mixed.jsonl", "empty.jsonl", "untrained.jsonl", "system_only.jsonl"}) {
    for (const DataView& view : {DataView{}, DataView{.tokenizer = w.folder / "tokenizer"}}) {
      const Inspection seen = inspect_path(w.folder / name, false, view);
      ASSERT_TRUE(seen.refused) << name;
      EXPECT_EQ(seen.refused->kind(), ErrorKind::kData) << name;
      EXPECT_EQ(seen.json.at("usable"), false) << name;
    }
  }
  const Inspection none = inspect_path(w.folder / "long.jsonl", false), with = inspect_path(w.folder / "long.jsonl", false, {.tokenizer = w.folder / "tokenizer"});
  EXPECT_EQ(none.json.at("tokenizer"), Json());
  EXPECT_FALSE(none.json.contains("tokens"));
  EXPECT_NE(none.text.find("--tokenizer"), std::string::npos);
  EXPECT_EQ(with.json.at("tokenizer"), (w.folder / "tokenizer").string());
  EXPECT_GT(with.json.at("tokens"), 0);
  EXPECT_EQ(none.json.at("samples"), with.json.at("samples"));
}

TEST(InspectData, TellsJsonDataFromAConfig) {
  const Workshop w;
  write_file_atomic(w.folder / "rows.json", std::string(data_sets()[0].rows) + "\n" + data_sets()[0].rows);
  EXPECT_EQ(inspect_path(w.folder / "rows.json", false).json.at("rows"), 2);
  EXPECT_EQ(inspect_path(w.folder / "config.json", false).json.at("kind"), "config");
  write_file_atomic(w.folder / "one_line.json", Json::parse(read_file(w.folder / "config.json")).dump());
  EXPECT_EQ(inspect_path(w.folder / "one_line.json", false).json.at("kind"), "config");
}

TEST(InspectData, WarnsOnceOfSamplesBeyondThePositionsOfTheModel) {
  const Workshop w;
  Json config = read_json(w.folder / "config.json");
  config["max_position_embeddings"] = 7;
  write_file_atomic(w.folder / "config.json", config.dump());
  const auto trained = test::run_program({"train", w.recipe_of("turns.jsonl")});
  EXPECT_EQ(trained.exit_code, 0) << trained.output;
  const size_t first = trained.output.find("max_position_embeddings is 7");
  ASSERT_NE(first, std::string::npos) << trained.output;
  EXPECT_EQ(trained.output.find("max_position_embeddings", first + 1), std::string::npos) << trained.output;
  const std::vector<Json> events = test::events_of(w.folder / "run");
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [](const Json& e) { return e.value("event", "") == "warning" && e.value("cause", "").find("is 7") != std::string::npos; }), 1);
  EXPECT_NE(inspect_path(w.folder / "turns.jsonl", false, {.recipe = w.recipe_of("turns.jsonl")}).text.find("max_position_embeddings is 7"), std::string::npos);
  EXPECT_NE(describe_run(load_recipe(w.recipe_of("turns.jsonl"), {})).find("max_position_embeddings is 7"), std::string::npos);
}

TEST(InspectCommand, EndsAsTrainingEnds) {
  const Workshop w;
  for (const char* name : {"tool_result_null.jsonl", "tool_no_args.jsonl", "mixed.jsonl", "empty.jsonl", "single.jsonl"}) {
    const std::string recipe = w.recipe_of(name);
    const auto inspected = test::run_program({"inspect", w.folder / name, "--recipe", recipe}), dry = test::run_program({"train", recipe, "--dry-run"}),
               trained = test::run_program({"train", recipe});
    EXPECT_EQ(inspected.exit_code, trained.exit_code) << name << inspected.output << trained.output;
    EXPECT_EQ(dry.exit_code, trained.exit_code) << name << dry.output;
    if (trained.exit_code == 0) continue;
    const std::string what = trained.output.substr(trained.output.rfind("error: "));
    EXPECT_NE(inspected.output.find(what.substr(0, what.find('\n'))), std::string::npos) << inspected.output << "\n" << trained.output;
  }
  const auto json = test::run_program({"inspect", w.folder / "mixed.jsonl", "--json"});
  EXPECT_EQ(json.exit_code, 3) << json.output;
  EXPECT_EQ(test::run_program({"inspect"}).exit_code, 2);
  EXPECT_EQ(test::run_program({"inspect", "--sample", (w.folder / "single.jsonl").string() + ":0", "--recipe", w.recipe_of("single.jsonl"), "--json"}).exit_code, 0);
}

}  // namespace
}  // namespace temper
