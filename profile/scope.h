// Marks what the time of a training step goes into. Without a listener a mark costs a few
// instructions.
#ifndef CMERC_PROFILE_SCOPE_H_
#define CMERC_PROFILE_SCOPE_H_

namespace cmerc {

class ProfileListener {
 public:
  virtual ~ProfileListener() = default;
  virtual void Begin(const char* name) = 0;
  virtual void End() = 0;
  // Tells what the innermost scope does by hand, outside LibTorch's operators: floating-point
  // operations (a multiply-add is two), and the bytes that it must read and write at least.
  virtual void Work(double flops, double bytes) = 0;
};

// The listener of this thread; null where there is none.
inline thread_local ProfileListener* profile_listener = nullptr;

// Scopes nest. `name` is copied.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name) : listener_(profile_listener) {
    if (listener_ != nullptr) listener_->Begin(name);
  }
  ~ProfileScope() {
    if (listener_ != nullptr) listener_->End();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  ProfileListener* const listener_;
};

// Tells the listener, where there is one, of work done by hand (ProfileListener::Work()).
inline void CountWork(double flops, double bytes) {
  if (profile_listener != nullptr) profile_listener->Work(flops, bytes);
}

}  // namespace cmerc

#endif  // CMERC_PROFILE_SCOPE_H_
