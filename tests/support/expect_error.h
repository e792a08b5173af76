#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

/// The statement throws Error of this kind whose text holds `part`.
#define EXPECT_ERROR(statement, expected_kind, part)                                                \
  do {                                                                                              \
    try {                                                                                           \
      statement;                                                                                    \
      ADD_FAILURE() << #statement " threw nothing";                                                 \
    } catch (const temper::Error& error) {                                                          \
      EXPECT_EQ(error.kind(), expected_kind) << error.what();                                       \
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();           \
    }                                                                                               \
  } while (false)
