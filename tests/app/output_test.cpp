// What the program does with the places that a user names as output or input, with closed and full streams, and with texts that a
// terminal would obey.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "support/model_folder.h"
#include "support/run_program.h"

namespace temper {
namespace {

using test::ModelFolder;
using test::run_script;

bool has(const test::ScriptResult& result, const std::string& part) { return result.out.find(part) != std::string::npos; }

#define EXPECT_SAYS(result, code, part)                           \
  do {                                                            \
    const test::ScriptResult done = result;                       \
    EXPECT_EQ(done.exit_code, code) << done.out;                  \
    EXPECT_TRUE(has(done, part)) << part << "\nin\n" << done.out; \
  } while (false)

TEST(StandardOutput, AFullDiskIsAnErrorOfEveryCommandThatPrints) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  write_file_atomic(folder / "ids.txt", "65 66 67");
  const std::string here = "cd '" + folder.path().string() + "' && ";
  for (const char* command : {"temper --version", "temper --help", "temper inspect config.json", "temper inspect config.json --json", "temper inspect chat.jsonl",
                              "temper tokenizer decode --tokenizer tokenizer ids.txt", "temper tokenizer encode --tokenizer tokenizer ids.txt",
                              "head -1 chat.jsonl | temper tokenizer explain --tokenizer tokenizer", "temper train run.toml --dry-run",
                              "temper tokenizer --help", "temper docs config"})
    EXPECT_SAYS(run_script(here + command + " > /dev/full"), 6, "No space left on device");
}

TEST(StandardOutput, AReaderThatLeavesEndsTheProgramQuietly) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  std::string ids;
  for (int i = 0; i < 200'000; ++i) ids += "65 ";
  write_file_atomic(folder / "ids.txt", ids);
  const test::ScriptResult done = run_script("cd '" + folder.path().string() + "' && temper tokenizer decode --tokenizer tokenizer ids.txt | head -c 1 > /dev/null; echo \"status ${PIPESTATUS[0]}\"");
  EXPECT_EQ(done.out, "status 141\n");
}

TEST(StandardStreams, ClosedOnesDoNotLetLogLinesIntoTheRecords) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  const test::ScriptResult done = run_script("cd '" + folder.path().string() + "' && temper train run.toml <&- >&- 2>&-");
  EXPECT_EQ(done.exit_code, 0);
  for (const char* name : {"metrics.jsonl", "events.jsonl"}) {
    std::istringstream lines(read_file(folder / "run" / name));
    int n = 0;
    for (std::string line; std::getline(lines, line); ++n) EXPECT_NO_THROW(parse_json(line, name)) << line;
    EXPECT_GT(n, 0);
  }
}

TEST(Outputs, DevicesAndLinksStayWhatTheyAre) {
  const ModelFolder f;
  write_file_atomic(f.folder / "prompts.jsonl", "{\"prompt\": \"once\"}\n{\"prompt\": \"a\"}\n");
  write_file_atomic(f.folder / "tokens.json", R"({"input_ids": [[1, 2, 3]]})");
  write_file_atomic(f.folder / "metrics.jsonl", "{\"step\": 1, \"train/loss\": 2.5}\n");
  const std::string here = "cd '" + f.folder.path().string() + "' && ";
  const std::string commands[] = {"temper generate --model model --prompts prompts.jsonl --max-new-tokens 4 --out ", "temper probe --model model --tokens tokens.json --out ", "temper report . --out "};
  for (const std::string& command : commands) {
    const std::string text = run_script(here + command + "plain && cat plain | wc -c").out;
    fs::create_directories(f.folder / "there");
    write_file_atomic(f.folder / "there" / "file", "old");
    fs::create_symlink("there/file", f.folder / "link");
    EXPECT_EQ(run_script(here + command + "link").exit_code, 0);
    EXPECT_TRUE(fs::is_symlink(f.folder / "link"));
    EXPECT_EQ(read_file(f.folder / "there" / "file"), read_file(f.folder / "plain"));
    fs::remove(f.folder / "link");
    EXPECT_EQ(run_script(here + command + "/dev/null").exit_code, 0);
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
    EXPECT_SAYS(run_script(here + command + "/dev/full"), 6, "No space left on device");
    EXPECT_EQ(run_script(here + command + "- 2> log > dashed").exit_code, 0);
    EXPECT_EQ(read_file(f.folder / "dashed"), read_file(f.folder / "plain"));
    EXPECT_EQ(run_script(here + command + "/dev/stdout 2> log | cat > piped").exit_code, 0);
    EXPECT_EQ(read_file(f.folder / "piped"), read_file(f.folder / "plain"));
    EXPECT_EQ(run_script(here + command + ">(cat > substituted) 2> log; sleep 0.3").exit_code, 0);
    EXPECT_EQ(read_file(f.folder / "substituted"), read_file(f.folder / "plain"));
    // Known before the work: a missing model, tokens or run would be the error otherwise.
    const std::string broken = command.substr(0, command.rfind("--out")) + " --out ";
    EXPECT_SAYS(run_script(here + broken + "there"), 6, "name a file: this is a folder");
    EXPECT_SAYS(run_script(here + broken + "no/such/file"), 6, "make its folder first: mkdir -p no/such");
    fs::remove(f.folder / "plain");
  }
}

TEST(Export, KeepsAFolderThatOnlyHasTheNameOfAPartialOne) {
  const ModelFolder f;
  fs::create_directory(f.folder / "x.partial");
  write_file_atomic(f.folder / "x.partial" / "thesis.txt", "precious");
  const test::ProgramResult done = test::run_program({"export", "--from", f.model, "--to", f.folder / "x"});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_EQ(read_file(f.folder / "x.partial" / "thesis.txt"), "precious");
  EXPECT_TRUE(fs::exists(f.folder / "x" / "config.json"));
  EXPECT_FALSE(fs::exists(f.folder / "x.partial-2"));
}

TEST(Export, FollowsLinksAndSaysWhatIsInTheWay) {
  const ModelFolder f;
  const std::string here = "cd '" + f.folder.path().string() + "' && ";
  fs::create_directory(f.folder / "empty");
  fs::create_symlink("empty", f.folder / "link");
  fs::create_symlink("later", f.folder / "dangling");
  EXPECT_EQ(run_script(here + "temper export --from model --to link && temper export --from model --to dangling && temper export --from model --to new/parents/x").exit_code, 0);
  for (const char* folder : {"empty", "later", "new/parents/x"}) EXPECT_TRUE(fs::exists(f.folder / folder / "config.json")) << folder;
  EXPECT_TRUE(fs::is_symlink(f.folder / "link") && fs::is_symlink(f.folder / "dangling"));
  EXPECT_SAYS(run_script(here + "temper export --from model --to stories.txt"), 2, "something that is no folder");
  EXPECT_SAYS(run_script(here + "temper export --from model --to ''"), 2, "no name");
}

TEST(Inputs, FromAPipeAllBytesArrive) {
  const ModelFolder f;
  const std::string rows = "{\"prompt\": \"once\"}\n{\"prompt\": \"a\"}\n", here = "cd '" + f.folder.path().string() + "' && ";
  const std::vector<Json> expected = f.generate(rows);
  const std::string command = "temper generate --model model --max-new-tokens 9 --prompts ";
  for (const std::string source : {"/dev/stdin --out piped < <(cat prompts.jsonl)", "<(cat prompts.jsonl) --out piped", "<(gzip -c prompts.jsonl) --out piped",
                                    "<(for i in $(seq $(wc -c < prompts.jsonl)); do head -c 1; done < prompts.jsonl) --out piped"}) {
    fs::remove(f.folder / "piped");
    const test::ScriptResult done = run_script(here + command + source);
    EXPECT_EQ(done.exit_code, 0) << done.out;
    EXPECT_EQ(read_file(f.folder / "piped"), read_file(f.folder / "out.jsonl")) << source;
  }
  EXPECT_SAYS(run_script(here + "temper train run.toml --set data.sources='[{path = \"/dev/stdin\", format = \"messages\"}]' --set stage=sft --set train.steps=2 < <(cat chat.jsonl)"), 0, "60 rows");
  EXPECT_EQ(run_script(here + "temper tokenizer train --input <(cat stories.txt) --vocab-size 288 --out again").exit_code, 0);
  EXPECT_EQ(read_file(f.folder / "again" / "tokenizer.json"), read_file(f.folder / "tokenizer" / "tokenizer.json"));
}

TEST(HostileInputs, DeepJsonIsAnErrorWithItsPlace) {
  const ModelFolder f;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  write_file_atomic(f.folder / "rows.jsonl", "{\"prompt\": \"x\", \"a\": " + deep + "}\n");
  write_file_atomic(f.folder / "answers.jsonl", "{\"prompt\": \"x\", \"response\": \"y\", \"a\": " + deep + "}\n");
  write_file_atomic(f.folder / "deep.json", "{\"input_ids\": " + deep + "}");
  write_file_atomic(f.folder / "arguments.jsonl", Json{{"messages", Json::array({Json{{"role", "user"}, {"content", "x"}}, Json{{"role", "assistant"}, {"tool_calls", Json::array({Json{{"type", "function"}, {"function", {{"name", "f"}, {"arguments", deep}}}}})}}})}}.dump() + "\n");
  const std::string here = "cd '" + f.folder.path().string() + "' && ";
  EXPECT_SAYS(run_script(here + "temper generate --model model --prompts rows.jsonl --out out"), 3, "where: rows.jsonl:1");
  EXPECT_SAYS(run_script(here + "temper eval --suite safety --responses answers.jsonl"), 3, "where: answers.jsonl:1");
  EXPECT_SAYS(run_script(here + "temper tokenizer explain --tokenizer tokenizer rows.jsonl"), 3, "where: rows.jsonl");
  EXPECT_SAYS(run_script(here + "temper probe --model model --tokens deep.json --out out"), 3, "nested");
  EXPECT_SAYS(run_script(here + "temper inspect deep.json"), 2, "nested");
  EXPECT_SAYS(run_script(here + "mkdir m && cp deep.json m/config.json && temper export --from m --to n"), 2, "nested");
  EXPECT_SAYS(run_script(here + "temper inspect arguments.jsonl"), 3, "arguments.jsonl:1");
  EXPECT_GE(run_script(here + "temper tokenizer explain --tokenizer tokenizer arguments.jsonl > /dev/null").exit_code, 0);   // no crash
  EXPECT_SAYS(run_script(here + "cp deep.json tokenizer/tokenizer.json && temper tokenizer encode --tokenizer tokenizer rows.jsonl"), 3, "nested");
}

TEST(HostileInputs, MistakesOfAUserAreNeverInternalErrors) {
  const ModelFolder f;
  write_file_atomic(f.folder / "prompts.jsonl", "{\"prompt\": \"once\"}\n");
  fs::create_symlink("loop", f.folder / "loop");
  write_file_atomic(f.folder / "metrics.jsonl", "{\"step\": \"one\", \"train/loss\": 2.5}\n");
  const std::string here = "cd '" + f.folder.path().string() + "' && ", long_name = std::string(300, 'n'), long_path = "a/" + std::string(5000, 'p');
  const std::string paths[] = {"loop", long_name, long_path, "stories.txt/below"};
  size_t n = 0;
  for (const std::string& path : paths)
    for (const char* command : {"temper inspect ", "temper export --to y --from ", "temper generate --prompts prompts.jsonl --out o --model ", "temper generate --model model --out o --prompts ",
                                "temper train ", "temper report ", "temper compare . ", "temper eval --suite safety --responses ", "temper eval --suite stories --model ",
                                "temper tokenizer encode --tokenizer ", "temper tokenizer train --out t --input ", "temper probe --model model --out p --tokens ", "temper report . --out ",
                                "temper export --from model --to ", "temper bench train --model-config ", "temper eval --suite safety --responses stories.txt --out "}) {
      if (n++ % 3 != 0) continue;   // 3 and 16 have no common divisor: every command meets a path, every path five commands
      const test::ScriptResult done = run_script(here + command + path);
      EXPECT_TRUE(done.exit_code >= 2 && done.exit_code <= 6) << command << path.substr(0, 20) << "\n" << done.exit_code << "\n" << done.out;
      EXPECT_TRUE(has(done, "\n  where: ") && has(done, "\n  fix:   ")) << command << "\n" << done.out;
      EXPECT_FALSE(has(done, "please report") || has(done, "(no place)")) << command << "\n" << done.out;
      EXPECT_LT(done.out.size(), 6000u);
    }
  EXPECT_SAYS(run_script(here + "temper report . --out r.html && grep -o 'damaged lines: 1' r.html"), 0, "damaged lines: 1");
  EXPECT_SAYS(run_script(here + "temper generate --model model --prompts prompts.jsonl --out o --max-new-tokens 9223372036854775807"), 64, "not in range");
  EXPECT_SAYS(run_script(here + "temper generate --model model --prompts prompts.jsonl --out o --max-new-tokens 2147483647"), 6, "lower --max-new-tokens");
  EXPECT_SAYS(run_script(here + "temper generate --model model --prompts prompts.jsonl --out o --max-new-tokens 0"), 64, "--max-new-tokens: ");
  EXPECT_LT(run_script(here + "temper generate --model model --prompts prompts.jsonl --out o --max-new-tokens 0").out.size(), 300u);
}

TEST(HostileInputs, APathThatJsonCannotHoldIsRefusedAtTheStart) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  const std::string here = "cd '" + folder.path().string() + "' && ";
  EXPECT_SAYS(run_script(here + "temper train run.toml --set run_folder=$'\"r\\xff\"'"), 2, "not UTF-8");
  EXPECT_SAYS(run_script(here + "sed /run_folder/d run.toml > $'r\\xff.toml' && temper train $'r\\xff.toml'"), 2, "where: runs/r\\xff");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  EXPECT_SAYS(run_script(here + "temper eval --suite safety --out e --responses $'r\\xff.jsonl'"), 2, "not UTF-8");
  EXPECT_SAYS(run_script(here + "mkdir $'\\xff' && cp config.json $'\\xff' && temper inspect --json $'\\xff'"), 0, "\"path\"");
}

TEST(HostileInputs, TicksOfHugeAndEqualValuesAreFew) {
  const test::TempFolder folder;
  const std::string report = "ulimit -v 8000000; timeout 60 \"" TEMPER_BINARY "\" report '" + folder.path().string() + "' --out /dev/null";
  for (const char* rows : {"{\"step\":1,\"moe/x\":1e17}\n{\"step\":2,\"moe/x\":1.0000000000000002e17}\n", "{\"step\":9007199254740993,\"train/loss\":1}\n",
                           "{\"step\":1e300,\"train/loss\":-1.7e308}\n{\"step\":2,\"train/loss\":1.7e308}\n", "{\"step\":1,\"train/loss\":null}\n",
                           "{\"step\":1,\"train/loss\":5e-324}\n{\"step\":2,\"train/loss\":1e-320}\n"}) {
    write_file_atomic(folder / "metrics.jsonl", rows);
    EXPECT_EQ(run_script(report).exit_code, 0) << rows;
  }
}

TEST(CommandLine, RefusesASeedBelowZero) {
  const test::ProgramResult result = test::run_program({"generate", "--model", "m", "--prompts", "p", "--out", "o", "--seed", "-1"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_NE(result.output.find("--seed: -1 is below 0"), std::string::npos) << result.output;
}

TEST(CommandLine, NamesTheUnknownCommandAndASimilarOne) {
  EXPECT_SAYS(run_script("temper frob"), 64, "\"frob\" is not a command of temper\n");
  EXPECT_SAYS(run_script("temper evla"), 64, "did you mean eval?");
  EXPECT_SAYS(run_script("temper gen"), 64, "did you mean generate?");
  EXPECT_SAYS(run_script("temper tokenizer encod x"), 64, "\"encod\" is not a command of temper tokenizer; did you mean encode?");
  EXPECT_SAYS(run_script("temper inspect x --jsno"), 64, "did you mean --json?");
  EXPECT_SAYS(run_script("temper $'\\e]0;x\\a'"), 64, "\\x1b]0;x\\x07");
}

TEST(Terminal, NamesAndValuesFromFilesAreShownWithoutTheirControlCharacters) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  const std::string here = "cd '" + folder.path().string() + "' && ";
  Json config = read_json(folder / "config.json");
  config["model_type"] = "x\x1b]52;c;AAAA\a\u202e";
  fs::create_directory(folder / "m");
  write_file_atomic(folder / "m" / "config.json", config.dump());
  write_file_atomic(folder / "rows.jsonl", "{\"messages\": [{\"role\": \"n\\u001b[2Jobody\\u0000x\", \"content\": \"x\"}]}\n");
  for (const char* command : {"temper inspect m", "temper inspect m/config.json", "temper inspect rows.jsonl", "temper tokenizer explain --tokenizer tokenizer rows.jsonl",
                              "temper train run.toml --set data.sources='[{path = \"rows.jsonl\"}]'", "temper inspect $'a\\eb\\x9bc.jsonl'"}) {
    const test::ScriptResult done = run_script(here + command);
    EXPECT_NE(done.out, "");
    for (const char c : done.out) EXPECT_TRUE(c == '\n' || c == '\t' || (c & 0xe0) != 0) << command << "\n" << done.out;
    EXPECT_FALSE(has(done, "\u202e") || has(done, "\x9b")) << command;
  }
  EXPECT_SAYS(run_script(here + "temper tokenizer explain --tokenizer tokenizer rows.jsonl"), 3, "obody\\x00x");
}

TEST(Chat, ShowsControlCharactersOfAnswersUnlessAskedForThem) {
  const ModelFolder f;
  const std::string chat = "cd '" + f.folder.path().string() + "' && echo tell 1 | temper chat --model model --plain --temperature 8 --top-p 1 --seed 4 --max-new-tokens 300 2> /dev/null";
  const std::string shown = run_script(chat).out, raw = run_script(chat + " --raw").out;
  const auto is_control = [](char c) { return (c >= 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; };
  EXPECT_EQ(std::count_if(shown.begin(), shown.end(), is_control), 0);
  EXPECT_GT(std::count_if(raw.begin(), raw.end(), is_control), 0);   // what the model wrote
  EXPECT_GT(shown.size(), raw.size());
}

double seconds_of(const std::string& script, int exit_code) {
  const auto start = std::chrono::steady_clock::now();
  const test::ScriptResult done = run_script(script);
  EXPECT_EQ(done.exit_code, exit_code) << done.out;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Interrupts, EndTheReadingOfEndlessInput) {
  const ModelFolder f;
  const std::string here = "cd '" + f.folder.path().string() + "' && ";
  const std::string line = "<(tr '\\0' x < /dev/zero)", blanks = "<(yes '')", stop = "timeout -s INT 2 \"" TEMPER_BINARY "\" ";
  for (const std::string& command : {"generate --model model --out o --prompts " + line, "generate --model model --out o --prompts " + blanks, "tokenizer encode --tokenizer tokenizer " + blanks,
                                     "eval --suite safety --responses " + blanks, "train run.toml --set data.sources='[{path = \"/dev/stdin\", format = \"text\"}]' < " + line,
                                     "chat --model model < " + line})
    EXPECT_LT(seconds_of(here + "timeout -s KILL 20 bash -c " + "'" + [&] {
      std::string quoted;
      for (const char c : stop + command) quoted += c == '\'' ? "'\\''" : std::string(1, c);
      return quoted;
    }() + "'", 124), 10) << command;
}

TEST(Interrupts, ATerminationDuringAnAnswerEndsTheChat) {
  const ModelFolder f;
  const double seconds = seconds_of("cd '" + f.folder.path().string() + "' && { (yes tell 1 | head -1000; sleep 60) | timeout -s TERM 3 \"" TEMPER_BINARY "\" chat --model model --temperature 1 --max-new-tokens 20000 > out; }; status=$?; exit $status", 124);
  EXPECT_LT(seconds, 90);
}

}  // namespace
}  // namespace temper
