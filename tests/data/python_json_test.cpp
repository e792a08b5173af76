#include "data/python_json.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper {
namespace {

std::string through_python(std::string_view text) {
  const auto value = parse_python_json(text);
  return value ? python_json_text(*value) : "(raises)";
}

// Left: argument of json.loads; right: json.dumps(json.loads(...), ensure_ascii=False) of CPython 3.11.
TEST(PythonJson, WritesWhatPythonWrites) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"a":1,"b":[1,2.50,true,null,"é"]})", R"({"a": 1, "b": [1, 2.5, true, null, "é"]})"},
      {"1e20", "1e+20"},
      {"1E-7", "1e-07"},
      {"0.0001", "0.0001"},
      {"0.00001", "1e-05"},
      {"1e15", "1000000000000000.0"},
      {"1e16", "1e+16"},
      {"123456789.125", "123456789.125"},
      {"-0", "0"},
      {"-0.0", "-0.0"},
      {"100.0", "100.0"},
      {"1e999", "Infinity"},
      {"[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"5e-324", "5e-324"},
      {"0.1", "0.1"},
      {R"("\u00e9\ud83d\ude00\/\b\f\n\r\t\u0001")", "\"é😀/\\b\\f\\n\\r\\t\\u0001\""},
      {"\"\x7f\"", "\"\x7f\""},
      {R"({"a": 1, "b": 2, "a": 3})", R"({"a": 3, "b": 2})"},
      {" [ ] ", "[]"},
      {"{}", "{}"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(through_python(text), expected) << text;
}

TEST(PythonJson, RaisesWherePythonRaises) {
  for (const char* text : {"", "oops", "{", "[1,]", "{\"a\":}", "01", "1.", ".5", "+1", "1e", "\"a\nb\"", "'a'", "{} x", "[1 2]", "\"\\x\"", "nul", "{1: 2}"})
    EXPECT_FALSE(parse_python_json(text)) << text;
}

TEST(PythonJson, RefusesWhatUtf8CannotHold) { EXPECT_FALSE(parse_python_json(R"("\ud800")")); }
TEST(PythonJson, RefusesDeepNestingWithoutOverflow) { EXPECT_FALSE(parse_python_json(std::string(100'000, '['))); }

// Bounds of the types that Json has for whole numbers, and one beyond each; Python has one type.
TEST(PythonJson, KeepsWholeNumbersOfAnySize) {
  for (const char* text : {"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "-123456789012345678901234567890"})
    EXPECT_EQ(through_python(text), text);
  EXPECT_FALSE(parse_python_json(std::string(4301, '1')));   // sys.get_int_max_str_digits()
}

TEST(PythonJson, SaysWhereAndWhyATextIsNotJson) {
  const auto fault = [](std::string_view text) {
    JsonFault found;
    EXPECT_FALSE(parse_python_json(text, &found)) << text;
    return std::to_string(found.byte) + " " + found.what;
  };
  EXPECT_EQ(fault(R"({"a": nope})"), "7 ");
  EXPECT_EQ(fault("{\"a\": \"x\ny\"}"), "9 a control character in a string (write a line break as \\n)");
  EXPECT_EQ(fault("{\"a\": 1"), "8 the text ends inside it");
  EXPECT_EQ(fault("{'a': 1}"), "2 strings need double quotes");
}

TEST(PythonJson, FloatsReadBackEqual) {
  for (const double value : {1.0 / 3, 2e-310, 1.7976931348623157e308, 9007199254740993.0, 123456.789e-20}) EXPECT_EQ(std::strtod(python_float_text(value).c_str(), nullptr), value);
}

TEST(PythonJson, AgreesOnValuesThatAreReadAlready) {
  EXPECT_EQ(python_json_text(parse_json(R"({"z":1.50,"a":{"b":[]},"n":18446744073709551615})", "test")), R"({"z": 1.5, "a": {"b": []}, "n": 18446744073709551615})");
}

}  // namespace
}  // namespace temper
