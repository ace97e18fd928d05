#include "compiler/import/aten/variable.h"

#include <utility>

namespace floe::aten {

VariablePtr Variable::Root(ir::Value* value, size_t depth) {
  VariablePtr v(new Variable());
  v->value_ = value;
  v->depth_ = depth;
  return v;
}

VariablePtr Variable::View(VariablePtr base, ir::Value* now, ReadView read, WriteView write) {
  VariablePtr v(new Variable());
  v->value_ = now;
  v->version_ = base->root()->version_;
  v->contiguous = base->contiguous;
  ++base->views_;
  v->base_ = std::move(base);
  v->read_ = std::move(read);
  v->write_ = std::move(write);
  return v;
}

}  // namespace floe::aten
