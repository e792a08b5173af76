#pragma once
// The measurements of `temper bench`.

#include "app/commands.h"
#include "tensor/profile.h"

namespace temper {

void add_bench_generate(const Command& bench);   // bench_generate.cpp
void add_bench_tokenizer(const Command& bench);  // bench_tokenizer.cpp

/// Where the time went, on standard output: by part, by kind, and every place with more than half a percent.
void print_shares(const Profile::Rows& profile);

}  // namespace temper
