#include "tensor/profile.h"

#include "base/error.h"

namespace temper {

namespace detail {
thread_local Profile* active_profile = nullptr;
}

const char* current_profile_part() { return detail::active_profile ? detail::active_profile->part() : "other"; }

Profile::Profile() : places_{{"other", "other", seconds_of("other", "other")}}, last_(Clock::now()) {
  if (detail::active_profile)
    throw Error({.kind = ErrorKind::kInternal, .what = "a second profile on one thread", .where = "Profile", .fix = "please report it"});
  detail::active_profile = this;
}

Profile::~Profile() { detail::active_profile = nullptr; }

void Profile::charge() {
  const auto now = Clock::now();
  *places_.back().seconds += std::chrono::duration<double>(now - last_).count();
  last_ = now;
}

double* Profile::seconds_of(const char* part, const char* work) { return &seconds_[{part, work}]; }

void Profile::enter(const char* part, const char* work) {
  charge();
  places_.push_back({part, work, seconds_of(part, work)});
}

void Profile::leave() {
  charge();
  places_.pop_back();
}

const Profile::Rows& Profile::rows() {
  charge();
  rows_.clear();
  for (const auto& [place, seconds] : seconds_)
    if (seconds > 0) rows_[{place.first, place.second}] += seconds;
  return rows_;
}

void Profile::clear() {
  for (auto& [place, seconds] : seconds_) seconds = 0;   // places_ point to them
  last_ = Clock::now();
}

ProfilePart::ProfilePart(const char* name) : profile_(detail::active_profile) {
  if (profile_) profile_->enter(name, "other");
}

}  // namespace temper
