#include "base/config.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace temper {
namespace {

struct Inner {
  double rate = 1e-8;
  int64_t steps = 3;
  template <class V> void visit(V& v) {
    v("rate", rate, "a rate", between(0.0, 1.0));
    v("steps", steps, "a count", at_least(1));
  }
};
struct Outer {
  std::string name = "a";
  std::vector<double> betas = {0.9, 0.0};
  bool on = false;
  Inner inner;
  std::vector<Inner> list;
  template <class V> void visit(V& v) {
    v("name", name, "a name", one_of({"a", "b"}));
    v("betas", betas, "two numbers");
    v("on", on, "a switch");
    v("inner", inner, "a section");
    v("list", list, "sections");
  }
};

Outer read(const std::string& text, std::vector<std::string> overrides = {}) {
  toml::table table = parse_toml(text, "r.toml");
  for (const auto& o : overrides) apply_override(table, o);
  Outer outer;
  TomlReader::read(table, "", outer);
  return outer;
}

TEST(Config, FillsSectionsListsAndDefaults) {
  const Outer o = read("name = 'b'\nbetas = [1, 0.5]\n[inner]\nrate = 1\n[[list]]\nsteps = 7\n");
  EXPECT_EQ(o.name, "b");
  EXPECT_EQ(o.betas, (std::vector<double>{1.0, 0.5}));
  EXPECT_EQ(o.inner.rate, 1.0);
  ASSERT_EQ(o.list.size(), 1u);
  EXPECT_EQ(o.list[0].steps, 7);
}

TEST(Config, RejectsUnknownKeysWithFileLineAndTheKnownOnes) {
  EXPECT_ERROR(read("[inner]\nrat = 1.0\n"), ErrorKind::kConfig, "rat is not a key");
  EXPECT_ERROR(read("[inner]\nrat = 1.0\n"), ErrorKind::kConfig, "r.toml:2");
  EXPECT_ERROR(read("[inner]\nrat = 1.0\n"), ErrorKind::kConfig, "known keys: rate, steps");
}

TEST(Config, ChecksTypesBoundsAndChoices) {
  EXPECT_ERROR(read("[inner]\nrate = 1.5\n"), ErrorKind::kConfig, "in [0, 1]");
  EXPECT_ERROR(read("[inner]\nrate = nan\n"), ErrorKind::kConfig, "rate = nan");
  EXPECT_ERROR(read("[inner]\nsteps = 1.0\n"), ErrorKind::kConfig, "whole number");
  EXPECT_ERROR(read("name = 'c'\n"), ErrorKind::kConfig, "one of a, b");
  EXPECT_ERROR(read("on = 1\n"), ErrorKind::kConfig, "true or false");
  EXPECT_ERROR(read("name = [\n"), ErrorKind::kConfig, "not valid TOML");
}

TEST(Config, OverridesAreTypedAndNamedInErrors) {
  EXPECT_EQ(read("", {"inner.steps=9"}).inner.steps, 9);
  EXPECT_EQ(read("", {"name=b"}).name, "b");
  EXPECT_ERROR(read("", {"inner.stepz=9"}), ErrorKind::kConfig, "--set");
}

// The values after "=" are what TOML 1.0 says of the text on the left.
TEST(Config, ReadsCharactersBeyondAsciiInEveryFormOfString) {
  const auto value = [](const std::string& text) { return parse_toml(text, "r.toml")["v"].value<std::string>(); };
  EXPECT_EQ(value("v = \"\u03cb\u2603\U0001f600\""), "\u03cb\u2603\U0001f600");
  EXPECT_EQ(value("v = '\u03cb\\'"), "\u03cb\\");
  EXPECT_EQ(value("v = \"\"\"\n\u03cb\"\" \\\n\n  \u03cc\\\"\u3042\"\"\"\"\""), "\u03cb\"\" \u03cc\"\u3042\"\"");
  EXPECT_EQ(value("v = '''\n\u03cb\\ '' \u00e9''''"), "\u03cb\\ '' \u00e9'");
  EXPECT_EQ(value("v = '\u03cb\"\"\"'"), "\u03cb\"\"\"");
  EXPECT_EQ(value("v = '''\"\"\"\u03cb\r\n\"'''"), "\"\"\"\u03cb\n\"");
  EXPECT_EQ(value("# \u03cb \"\u2028 '\nv = \"\" # \u00a0"), "");
  EXPECT_EQ(value("\xef\xbb\xbfv = \"#\u03cb\" # '"), "#\u03cb");
  EXPECT_EQ(value("\"\u03cb\" = 1\n'\u03cc' = 2\nv = 'x'"), "x");
}

TEST(Config, RefusesCharactersBeyondAsciiElsewhere) {
  const auto parse = [](const std::string& text) { return parse_toml(text, "r.toml"); };
  EXPECT_ERROR(parse("seauence_length = 06\u03cbc.5\n"), ErrorKind::kConfig, "U+03CB");
  EXPECT_ERROR(parse("seauence_length = 0'6\u03cbc.5\n"), ErrorKind::kConfig, "not valid TOML");
  EXPECT_ERROR(parse("v = \"\"\" \"\"\"\"\"\"\u03cb\n"), ErrorKind::kConfig, "not valid TOML");
  EXPECT_ERROR(parse("a = 1\nb =\u00a0" "2\n"), ErrorKind::kConfig, "r.toml:2");
  EXPECT_ERROR(parse("l\u00e4nge = 2\n"), ErrorKind::kConfig, "put the text in quotes");
  EXPECT_ERROR(parse("[\u03cb]\n"), ErrorKind::kConfig, "U+03CB");
  EXPECT_ERROR(parse("a = \u201cb\u201d\n"), ErrorKind::kConfig, "U+201C");
  EXPECT_ERROR(parse("a = \"\"\"\nb\\\u03cb\"\"\""), ErrorKind::kConfig, "r.toml:2");
  EXPECT_ERROR(parse("a = 'b\n\u03cb = 2"), ErrorKind::kConfig, "r.toml:2");
  EXPECT_ERROR(parse("a = \"\xff\"\n"), ErrorKind::kConfig, "0xff is not valid UTF-8");
  EXPECT_ERROR(parse("a = 1 # \xed\xa0\x80\n"), ErrorKind::kConfig, "0xed is not valid UTF-8");
}

TEST(Config, OverridesThatAreNoSingleTomlValueAreStrings) {
  toml::table table;
  for (const std::string value : {"l\u00e4ufe/eins", "06\u03cbc.5", "1\nother = 2", "", "a b"}) {
    apply_override(table, "v=" + value);
    EXPECT_EQ(table["v"].value<std::string>(), value);
  }
  apply_override(table, "v=\"\u03cb\"");
  EXPECT_EQ(table["v"].value<std::string>(), "\u03cb");
  EXPECT_EQ(table.size(), 1u);
}

TEST(Config, RenderedTomlReadsBackEqual) {
  Outer o;
  o.inner.rate = 1e-8;
  o.list.resize(2);
  o.list[1].rate = 0.1;
  const std::string text = render_toml(o);
  Outer back = read(text);
  EXPECT_EQ(render_toml(back), text);
  EXPECT_EQ(back.inner.rate, 1e-8);
}

// Found by fuzzing: the library asserts on these.
TEST(ParseToml, RefusesHeadersThatStartWithNoKey) {
  for (const char* text : {"[[?a]]", "[?a]", "a = 1\n[[?ources]]\n"}) EXPECT_ERROR(parse_toml(text, "x.toml"), ErrorKind::kConfig, "not valid TOML");
}

}  // namespace
}  // namespace temper
