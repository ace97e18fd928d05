// A bound of the interpreter's recursion.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEVEL_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEVEL_H_

namespace floe::torchscript {

// Calls, statements and expressions within each other. Each takes up to 10 KiB of stack in builds
// with sanitizers.
inline constexpr int kMaxLevels = 400;

// Counts a level for as long as it lives.
class Level {
 public:
  explicit Level(int* depth) : depth_(depth) { ++*depth_; }
  ~Level() { --*depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  int* const depth_;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEVEL_H_
