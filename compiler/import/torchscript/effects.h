// What a piece of code may change, found without running it, and the contents of containers and
// objects before and after it has run. For control flow on data: both branches of an `if` and the
// body of a loop are run at import, and what they leave behind is compared and merged.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_EFFECTS_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_EFFECTS_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torchscript/objects.h"
#include "compiler/import/torchscript/program.h"

namespace floe::torchscript {

// The variables that a block assigns, blocks within it included, in order of their first
// assignment.
std::vector<std::string> AssignedNames(const Block& block);

using Variables = absl::flat_hash_map<std::string, aten::IValue>;

// Whether the statement reads a variable that has no value yet, or makes one.
bool MentionsUninitialized(const Stmt& stmt, const Variables& variables);

// Whether code may change containers or attributes, through the functions that it calls as well. A
// method stands for all methods of that name in the classes that the program has loaded.
class MutationFinder {
 public:
  explicit MutationFinder(Program& program) : program_(program) {}
  bool MayMutate(const Stmt& stmt);

 private:
  bool InBlock(const Block& block, int depth);
  bool InStmt(const Stmt& stmt, int depth);
  bool InExpr(const Expr& expr, int depth);
  bool InFunction(const FunctionDef& def, int depth);

  Program& program_;
  std::map<const FunctionDef*, bool> known_;
};

// The contents of all lists, dicts and objects that variables reach. Tensors are not contents: the
// ATen layer keeps track of what is written to them.
class Snapshot {
 public:
  using Contents = std::vector<std::vector<aten::IValue>>;  // By container.

  // kResourceExhausted if they are too many.
  absl::Status Take(const Variables& variables);
  // What they hold now, or when the snapshot was taken.
  Contents Now() const;
  const Contents& Before() const { return before_; }
  // Makes container `i` hold `items`: as many as Now() or Before() told of it.
  absl::Status Set(size_t i, const std::vector<aten::IValue>& items);
  // Makes all hold what they held when the snapshot was taken.
  void Restore();
  size_t size() const { return containers_.size(); }

 private:
  struct Container {
    std::shared_ptr<aten::List> list;
    std::shared_ptr<aten::Dict> dict;
    ObjectPtr object;
  };
  absl::Status Add(const aten::IValue& value, int depth);

  std::vector<Container> containers_;
  Contents before_;  // Lists: items. Dicts: keys and values. Objects: names and values.
  std::set<const void*> seen_;
};

// Whether two values are the same thing: the same tensor, the same container, equal constants.
bool SameValue(const aten::IValue& a, const aten::IValue& b);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_EFFECTS_H_
