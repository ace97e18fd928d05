#include "compiler/import/compose_einsum.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"

namespace floe::import {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

// A tensor and the letter of each of its axes; an ellipsis' axes are the letters '0', '1', ...
struct Term {
  Value* value;
  std::string axes;
};

bool Has(const std::string& s, char c) { return s.find(c) != std::string::npos; }

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
};

// Replaces "..." by digits for `rank - letters` axes, aligned at the end as broadcasting is.
std::string ExpandEllipsis(Emitter& b, const std::string& text, int64_t rank) {
  const size_t dots = text.find("...");
  if (dots == std::string::npos) return text;
  const int64_t count = rank - (static_cast<int64_t>(text.size()) - 3);
  if (count < 0 || count > 9) {
    b.Invalid("'" + text + "' does not fit an operand of rank " + std::to_string(rank));
    return text;
  }
  std::string digits;
  for (int64_t i = 0; i < count; ++i) digits += static_cast<char>('0' + (9 - count + i));
  return text.substr(0, dots) + digits + text.substr(dots + 3);
}

Equation Parse(Emitter& b, std::string text, const std::vector<Value*>& operands) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation e;
  for (size_t at = 0; at <= left.size();) {
    const size_t end = std::min(left.find(',', at), left.size());
    e.inputs.push_back(left.substr(at, end - at));
    at = end + 1;
  }
  if (e.inputs.size() != operands.size()) {
    b.Invalid("the equation '" + text + "' has another number of operands");
    return e;
  }
  std::string dots;
  for (size_t i = 0; i < e.inputs.size(); ++i) {
    e.inputs[i] = ExpandEllipsis(b, e.inputs[i], b.Rank(operands[i]));
    for (const char c : e.inputs[i]) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit && !std::isalpha(static_cast<unsigned char>(c)) && b.ok()) {
        b.Invalid("the equation '" + text + "' has an unexpected character");
      }
      if (digit && !Has(dots, c)) dots += c;
    }
    if (static_cast<int64_t>(e.inputs[i].size()) != b.Rank(operands[i]) && b.ok()) {
      b.Invalid("'" + e.inputs[i] + "' does not fit the rank of its operand");
    }
  }
  std::sort(dots.begin(), dots.end());
  if (arrow != std::string::npos) {
    e.output = text.substr(arrow + 2);
    if (const size_t at = e.output.find("..."); at != std::string::npos) {
      e.output.replace(at, 3, dots);
    }
    return e;
  }
  // Without an arrow: the ellipsis, then the letters that occur once, sorted.
  std::string all, once;
  for (const std::string& s : e.inputs) all += s;
  for (const char c : all) {
    if (std::isalpha(static_cast<unsigned char>(c)) && std::count(all.begin(), all.end(), c) == 1) {
      once += c;
    }
  }
  std::sort(once.begin(), once.end());
  e.output = dots + once;
  return e;
}

Term Permute(Emitter& b, Term t, const std::string& order) {
  std::vector<int64_t> perm;
  for (const char c : order) perm.push_back(static_cast<int64_t>(t.axes.find(c)));
  if (t.axes != order) t.value = b.Transpose(t.value, std::move(perm));
  t.axes = order;
  return t;
}

Term SumOut(Emitter& b, Term t, const std::string& letters) {
  std::vector<int64_t> axes;
  std::string left;
  for (size_t i = 0; i < t.axes.size(); ++i) {
    if (Has(letters, t.axes[i])) {
      axes.push_back(static_cast<int64_t>(i));
    } else {
      left += t.axes[i];
    }
  }
  if (axes.empty()) return t;
  return {b.Reduce(ReduceKind::kSum, t.value, std::move(axes), false), left};
}

// "ii": keeps the diagonal of two equal axes, as a mask and a sum.
Term Diagonal(Emitter& b, Term t) {
  for (size_t i = 0; i < t.axes.size(); ++i) {
    const size_t j = t.axes.find(t.axes[i], i + 1);
    if (j == std::string::npos) continue;
    const int64_t n = b.StaticDim(t.value, static_cast<int64_t>(i));
    if (b.StaticDim(t.value, static_cast<int64_t>(j)) != n && b.ok()) {
      b.Invalid("a letter stands for axes of different sizes");
    }
    if (!b.ok()) return t;
    // Moves axes i and j to the end, where trilu keeps the diagonal.
    std::vector<int64_t> perm;
    std::string axes;
    for (size_t k = 0; k < t.axes.size(); ++k) {
      if (k == i || k == j) continue;
      perm.push_back(static_cast<int64_t>(k));
      axes += t.axes[k];
    }
    perm.push_back(static_cast<int64_t>(i));
    perm.push_back(static_cast<int64_t>(j));
    Value* x = b.Transpose(t.value, std::move(perm));
    for (const int64_t upper : {1, 0}) {
      x = b.Emit(OpId::kTrilu, {x}, {{"upper", upper}, {"k", int64_t{0}}});
    }
    x = b.Reduce(ReduceKind::kSum, x, {static_cast<int64_t>(t.axes.size()) - 1}, false);
    return Diagonal(b, {x, axes + t.axes[i]});
  }
  return t;
}

Dim SizeOf(Emitter& b, const Term& t, char c) {
  return b.Dim(t.value, static_cast<int64_t>(t.axes.find(c)));
}

Dim SizeOf(Emitter& b, const Term& t, const std::string& letters) {
  Dim size = 1;
  for (const char c : letters) size = b.Mul(size, SizeOf(b, t, c));
  return size;
}

Shape SizesOf(Emitter& b, const Term& t, const std::string& letters) {
  Shape shape;
  for (const char c : letters) shape.push_back(SizeOf(b, t, c));
  return shape;
}

// Multiplies two terms and sums over the letters that nothing in `later` needs.
Term Contract(Emitter& b, Term x, Term y, const std::string& later) {
  std::string batch, inner, only_x, only_y, drop_x, drop_y;
  for (const char c : x.axes) {
    if (!Has(y.axes, c)) {
      (Has(later, c) ? only_x : drop_x) += c;
    } else {
      // Where one side is broadcast, the axis cannot be summed by the product.
      const bool same = SizeOf(b, x, c) == SizeOf(b, y, c);
      (Has(later, c) || !same ? batch : inner) += c;
    }
  }
  for (const char c : y.axes) {
    if (!Has(x.axes, c)) (Has(later, c) ? only_y : drop_y) += c;
  }
  x = Permute(b, SumOut(b, x, drop_x), batch + only_x + inner);
  y = Permute(b, SumOut(b, y, drop_y), batch + inner + only_y);
  if (!b.ok()) return x;
  Shape x_batch = SizesOf(b, x, batch), y_batch = SizesOf(b, y, batch);
  Shape x_shape = x_batch, y_shape = y_batch;
  x_shape.insert(x_shape.end(), {SizeOf(b, x, only_x), SizeOf(b, x, inner)});
  y_shape.insert(y_shape.end(), {SizeOf(b, y, inner), SizeOf(b, y, only_y)});
  const Shape rows = SizesOf(b, x, only_x), columns = SizesOf(b, y, only_y);
  Value* product =
      b.Binary(OpId::kMatMul, b.Reshape(x.value, x_shape), b.Reshape(y.value, y_shape));
  if (!b.ok()) return x;
  Shape shape(product->shape().begin(), product->shape().end() - 2);
  shape.insert(shape.end(), rows.begin(), rows.end());
  shape.insert(shape.end(), columns.begin(), columns.end());
  Term result = {b.Reshape(product, std::move(shape)), batch + only_x + only_y};
  std::string unneeded;
  for (const char c : batch) {
    if (!Has(later, c)) unneeded += c;
  }
  return SumOut(b, std::move(result), unneeded);
}

}  // namespace

Value* EmitEinsum(Emitter& b, const std::string& equation, const std::vector<Value*>& operands) {
  const Equation e = Parse(b, equation, operands);
  if (!b.ok()) return operands.empty() ? b.Scalar(DType::kF32, 0) : operands[0];
  Term t = Diagonal(b, {operands[0], e.inputs[0]});
  for (size_t i = 1; i < e.inputs.size() && b.ok(); ++i) {
    std::string later = e.output;
    for (size_t k = i + 1; k < e.inputs.size(); ++k) later += e.inputs[k];
    t = Contract(b, std::move(t), Diagonal(b, {operands[i], e.inputs[i]}), later);
  }
  std::string unneeded;
  for (const char c : t.axes) {
    if (!Has(e.output, c)) unneeded += c;
  }
  t = SumOut(b, std::move(t), unneeded);
  for (const char c : e.output) {
    if (!Has(t.axes, c) && b.ok()) b.Invalid("the result has an axis that no operand has");
  }
  if (e.output.size() != t.axes.size() && b.ok()) b.Invalid("the result repeats an axis");
  return b.ok() ? Permute(b, std::move(t), e.output).value : t.value;
}

}  // namespace floe::import
