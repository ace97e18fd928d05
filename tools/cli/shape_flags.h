// The flags that give shapes: --shape ids=[N,T], --shape ids=[N,T]:i64, --dim N=1..8, --dim T=1..512:8, --dim N=4.
#ifndef FLOE_TOOLS_CLI_SHAPE_FLAGS_H_
#define FLOE_TOOLS_CLI_SHAPE_FLAGS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/dtype.h"

namespace floe::cli {

// One axis of --shape: a number, or a symbol's name.
struct AxisFlag {
  std::string symbol;  // Empty: the axis is `size`.
  int64_t size = 0;
};
struct ShapeFlag {
  std::string input;
  std::vector<AxisFlag> axes;
  DType dtype = DType::kNone;  // kNone: not said.
};
// Bounds are inclusive; min == max fixes the dimension.
struct DimFlag {
  std::string symbol;
  int64_t min = 1;
  int64_t max = 1;
  int64_t multiple = 1;
};

// "ids=[N,T]", "ids=[N, 128]", "ids=[]" (a scalar), "ids=[N,T]:i64".
absl::StatusOr<ShapeFlag> ParseShapeFlag(const std::string& text);
// "N=4", "N=1..8", "T=8..512:8".
absl::StatusOr<DimFlag> ParseDimFlag(const std::string& text);
// "N=1,2,4": ascending positive numbers.
absl::StatusOr<std::pair<std::string, std::vector<int64_t>>> ParseBucketFlag(
    const std::string& text);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_SHAPE_FLAGS_H_
