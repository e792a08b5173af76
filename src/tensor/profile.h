#pragma once
// Where the time of a step goes: wall-clock seconds of the calling thread by part of the model and by kind of work.
//
// Off (one branch) unless a Profile is active on this thread.  Pieces nest, and a second belongs to the innermost one only, so that all
// rows together are the time the profile was active.  Work of other threads counts through the call that waits for them.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace temper {

class Profile {
 public:
  /// Seconds by (part, work), for example ("attention", "linear"); work that no scope names is "other".
  using Rows = std::map<std::pair<std::string, std::string>, double>;

  Profile();    ///< becomes the active profile of this thread until destroyed; one at a time
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// All seconds up to now.
  const Rows& rows();
  /// Forgets them and begins again.
  void clear();
  /// The part that time belongs to now.
  const char* part() const { return places_.back().part; }

 private:
  friend class ProfilePart;
  friend class ProfileWork;
  struct Place {
    const char* part;
    const char* work;
    double* seconds;   // where its time is added up
  };
  void enter(const char* part, const char* work);
  void leave();
  void charge();
  double* seconds_of(const char* part, const char* work);

  std::map<std::pair<const char*, const char*>, double> seconds_;   // literals: compared by address, joined by rows()
  std::vector<Place> places_;
  Clock::time_point last_;
  Rows rows_;
};

namespace detail {
extern thread_local Profile* active_profile;
}

/// The part of the Profile that is active on this thread; "other" without one.  A literal.
const char* current_profile_part();

/// While it lives, time belongs to this part of the model.  `name` is a literal.
class ProfilePart {
 public:
  explicit ProfilePart(const char* name);
  ~ProfilePart() {
    if (profile_) profile_->leave();
  }
  ProfilePart(const ProfilePart&) = delete;
  ProfilePart& operator=(const ProfilePart&) = delete;

 private:
  Profile* profile_;
};

/// While it lives, time belongs to this kind of work, of the part it is in.  `name` is a literal.
class ProfileWork {
 public:
  explicit ProfileWork(const char* name) : profile_(detail::active_profile) {
    if (profile_) profile_->enter(profile_->places_.back().part, name);
  }
  ~ProfileWork() {
    if (profile_) profile_->leave();
  }
  ProfileWork(const ProfileWork&) = delete;
  ProfileWork& operator=(const ProfileWork&) = delete;

 private:
  Profile* profile_;
};

}  // namespace temper
