#include "data/chat_release.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

/// A model folder as far as the release is concerned.
struct Folder {
  test::TempFolder folder;
  std::vector<fs::path> paths{folder.path()};

  Folder(const std::string& config, const std::string& encoder) {
    if (!config.empty()) write_file_atomic(folder / "config.json", config);
    if (encoder.empty()) return;
    make_writable_folder(folder / "encoding");
    write_file_atomic(folder / "encoding/encoding_dsv4.py", encoder);
  }
  std::string release() const { return find_chat_release(paths).release; }
  std::string resolve(const std::string& wanted, const std::string& effort) const {
    return resolve_chat_release(wanted, effort, "thinking", paths, kChatReleaseInRecipe);
  }
};

constexpr const char* kPlainConfig = R"({"model_type": "deepseek_v4"})";
constexpr const char* kDrafterConfig = R"({"model_type": "deepseek_v4", "dspark_block_size": 5})";
// The lines in which the two released encoders differ.
constexpr const char* kPreviewEncoder =
    "REASONING_EFFORT_MAX = (\n    \"Reasoning Effort: Absolute maximum with no shortcuts permitted.\\n\"\n)\n"
    "assert reasoning_effort in ['max', None, 'high']\n";
constexpr const char* kRefreshedEncoder =
    "REASONING_EFFORT_PROMPTS: Dict[str, str] = {\n    \"low\": \"\",\n    \"high\": (\"Reasoning Effort: Absolute maximum with no\"),\n"
    "    \"max\": (\"Reasoning Effort: Beyond maximum\"),\n}\nDEFAULT_REASONING_EFFORT = \"low\"\n";

TEST(ChatRelease, TheFoldersEncodingFileDecides) {
  for (const char* config : {"", kPlainConfig, kDrafterConfig}) {
    EXPECT_EQ(Folder(config, kPreviewEncoder).release(), "preview") << config;
    EXPECT_EQ(Folder(config, kRefreshedEncoder).release(), "0731") << config;
  }
  EXPECT_EQ(Folder(kDrafterConfig, "DEFAULT_REASONING_EFFORT: str = 'low'\n").release(), "0731");
  EXPECT_EQ(Folder(kPlainConfig, "").release(), "preview");
  EXPECT_EQ(Folder("", "").release(), "preview");
}

TEST(ChatRelease, DrafterKeysWithoutAnEncodingFileAreNotGuessed) {
  const Folder folder(kDrafterConfig, "");
  EXPECT_EQ(folder.release(), "");
  for (const char* effort : {"none", "low", "high", "max"}) EXPECT_ERROR(folder.resolve("auto", effort), ErrorKind::kConfig, "set data.chat_release to preview");
  EXPECT_EQ(folder.resolve("auto", ""), "auto");   // the same text in both; a warning
  EXPECT_EQ(folder.resolve("preview", "max"), "preview");
  EXPECT_EQ(folder.resolve("0731", "low"), "0731");
  EXPECT_EQ(Folder(kDrafterConfig, "print('something else')\n").release(), "");
}

TEST(ChatRelease, AnEffortThatTheReleaseDoesNotHaveIsRefusedInEveryMode) {
  EXPECT_ERROR(Folder(kPlainConfig, "").resolve("auto", "low"), ErrorKind::kConfig, "none, high, max");
  EXPECT_ERROR(Folder(kDrafterConfig, kRefreshedEncoder).resolve("auto", "none"), ErrorKind::kConfig, "low, high, max");
  EXPECT_ERROR(resolve_chat_release("preview", "low", "chat", {}, kChatReleaseOptions), ErrorKind::kConfig, "--effort");
}

TEST(ChatRelease, ACheckpointsRecipeSaysWithWhichItWasTrained) {
  const Folder folder(kDrafterConfig, kPreviewEncoder);
  write_file_atomic(folder.folder / "manifest.json", "{}");
  write_file_atomic(folder.folder / "recipe.toml", "[data]\nchat_release = \"0731\"\n");
  EXPECT_EQ(folder.release(), "0731");
  write_file_atomic(folder.folder / "recipe.toml", "[data]\nchat_release = \"auto\"\n");
  EXPECT_EQ(folder.release(), "preview");
}

}  // namespace
}  // namespace temper
