#include "tests/lower/control_programs.h"

#include "compiler/ir/shapes.h"
#include "gtest/gtest.h"

namespace floe::lower {
namespace {

enum Kind { kMatrix, kInteger, kBool, kKinds };

// What a scope can name, by kind.
struct Scope {
  ir::Graph* graph;
  ir::BodyBuilder* body = nullptr;  // Null: the outermost.
  Scope* outer = nullptr;
  std::vector<ir::Value*> values[kKinds];
};

class Maker {
 public:
  explicit Maker(uint32_t seed) : random_(seed), graph_(std::make_unique<ir::Graph>()) {}

  std::unique_ptr<ir::Graph> Run() {
    graph_->name = "random";
    Scope top{graph_.get(), nullptr, nullptr, {}};
    const ir::Dim n = ir::Dim::OfSymbol(graph_->GetSymbol("N", 1, 5));
    matrix_ = {n, 4};
    top.values[kMatrix] = {graph_->AddInput("x", DType::kF32, matrix_),
                           graph_->AddInput("y", DType::kF32, matrix_)};
    top.values[kInteger] = {graph_->AddInput("n", DType::kI64, {}),
                            graph_->AddInput("m", DType::kI64, {})};
    top.values[kBool] = {graph_->AddInput("b", DType::kBool, {})};
    const auto dim = ir::AddDim(*graph_, n, "rows", {});
    top.values[kInteger].push_back(*dim);
    AddStates(&top);
    Fill(&top, 10, 0);
    for (size_t i = 0; i < graph_->states().size(); ++i) {
      const ir::Value* v = graph_->states()[i].value;
      if (Below(4) == 0) continue;  // It stays.
      graph_->SetStateResult(
          i, v->rank() == 0 ? Pick(&top, kInteger) : Squeezed(&top, Pick(&top, kMatrix)));
    }
    for (int kind = 0; kind < kKinds; ++kind) {
      for (int k = 0; k < 2; ++k) {
        graph_->AddOutput(Pick(&top, static_cast<Kind>(kind)),
                          "out" + std::to_string(kind) + std::to_string(k));
      }
    }
    return std::move(graph_);
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string Name() { return "v" + std::to_string(count_++); }

  ir::Value* Emit(Scope* s, OpId op, std::vector<ir::Value*> inputs,
                  std::vector<std::pair<const char*, ir::Attr>> attrs = {}) {
    const std::string name = Name();
    ir::Node* node = s->graph->AddNode(op, std::move(inputs), {name}, {"/" + name, ""});
    for (auto& [key, value] : attrs) node->attrs[key] = std::move(value);
    const absl::Status status = ir::InferNode(*s->graph, *node);
    EXPECT_TRUE(status.ok()) << status;
    return node->output();
  }

  // A value of this scope or, captured, of one around it.
  ir::Value* Pick(Scope* s, Kind kind) {
    const bool here = !s->values[kind].empty();
    if (s->outer == nullptr || (here && Below(3) != 0)) {
      // Later values more often: they depend on more.
      const auto count = static_cast<int>(s->values[kind].size());
      return s->values[kind][static_cast<size_t>(std::max(Below(count), Below(count)))];
    }
    return s->body->Capture(Pick(s->outer, kind));
  }

  // [N,4] to [1,4]: what a state of fixed size can hold.
  ir::Value* Squeezed(Scope* s, ir::Value* m) {
    return Emit(s, OpId::kReduce, {m},
                {{"kind", int64_t{static_cast<int>(ReduceKind::kMax)}},
                 {"axes", std::vector<int64_t>{0}},
                 {"keepdims", int64_t{1}}});
  }

  void AddStates(Scope* top) {
    const int count = Below(4);
    for (int i = 0; i < count; ++i) {
      const std::string name = "state" + std::to_string(i);
      if (Below(2) == 0) {
        top->values[kInteger].push_back(graph_->AddState(name, Integer(Below(3))));
        continue;
      }
      ir::Tensor t(DType::kF32, {1, 4});
      for (int64_t k = 0; k < 4 && i != 1; ++k) t.SetDouble(k, Below(9) * 0.25 - 1);
      ir::Value* v = graph_->AddState(name, std::move(t));
      top->values[kMatrix].push_back(Emit(top, OpId::kAdd, {v, Pick(top, kMatrix)}));
    }
  }

  static ir::Tensor Integer(int64_t v) {
    ir::Tensor t(DType::kI64, {});
    t.SetInt(0, v);
    return t;
  }

  ir::Value* Weights(Scope* s) {
    ir::Tensor t(DType::kF32, {4, 4});
    for (int64_t i = 0; i < 16; ++i) t.SetDouble(i, Below(17) / 16.0 - 0.5);
    return s->graph->AddConstant("w", std::move(t));
  }

  ir::Value* Matrix(Scope* s) {
    ir::Value* a = Pick(s, kMatrix);
    switch (Below(7)) {
      case 0:
        return Emit(s, OpId::kTanh, {Emit(s, OpId::kAdd, {a, Pick(s, kMatrix)})});
      case 1:
        return Emit(s, OpId::kMinimum, {a, Pick(s, kMatrix)});
      case 2:
        return Emit(s, OpId::kTanh, {Emit(s, OpId::kMatMul, {a, Weights(s)})});
      case 3:
        return Emit(s, OpId::kSoftmax, {a}, {{"axis", int64_t{1}}});
      case 4:
        return Emit(s, OpId::kWhere, {Pick(s, kBool), a, Pick(s, kMatrix)});
      case 5:
        return Emit(s, OpId::kAdd, {a, Emit(s, OpId::kTanh, {Squeezed(s, Pick(s, kMatrix))})});
      default:
        return Emit(s, OpId::kTanh, {Emit(s, OpId::kMul, {a, Pick(s, kMatrix)})});
    }
  }

  ir::Value* Number(Scope* s) {
    ir::Value* a = Pick(s, kInteger);
    ir::Value* b =
        Below(2) == 0 ? Pick(s, kInteger) : s->graph->AddConstant("k", Integer(Below(7) - 3));
    constexpr OpId kOps[] = {OpId::kAdd, OpId::kSub, OpId::kMaximum};
    ir::Value* sum = Emit(s, kOps[Below(3)], {a, b});
    // Within [0, 5], whatever went in.
    ir::Value* six = s->graph->AddConstant("six", Integer(6));
    return Emit(s, OpId::kMod, {sum, six}, {{"fmod", int64_t{0}}});
  }

  ir::Value* Truth(Scope* s) {
    switch (Below(4)) {
      case 0:
        return Emit(s, OpId::kLogicalNot, {Pick(s, kBool)});
      case 1:
        return Emit(s, OpId::kLogicalAnd, {Pick(s, kBool), Pick(s, kBool)});
      case 2:
        return ir::AddBool(*s->graph, "truth", Below(2) == 0);
      default:
        return Emit(s, OpId::kLess, {Pick(s, kInteger), Pick(s, kInteger)});
    }
  }

  ir::Value* Any(Scope* s, Kind kind) {
    ir::Value* v = kind == kMatrix ? Matrix(s) : kind == kInteger ? Number(s) : Truth(s);
    s->values[kind].push_back(v);
    return v;
  }

  void Fill(Scope* s, int count, uint32_t depth) {
    for (int i = 0; i < count; ++i) {
      const int choice = Below(12);
      if (choice < 2 && depth < 3) {
        If(s, depth);
      } else if (choice < 4 && depth < 3) {
        Loop(s, depth);
      } else if (choice == 4) {
        // Holds, which is not obvious.
        ir::Value* b = Pick(s, kBool);
        ir::Value* holds = Emit(s, OpId::kLogicalOr, {b, Emit(s, OpId::kLogicalNot, {b})});
        EXPECT_TRUE(ir::AddCheck(*s->graph, holds, "b or not b", {"/check", "net.py:1"}).ok());
      } else {
        Any(s, static_cast<Kind>(choice % 3));
      }
    }
  }

  void If(Scope* s, uint32_t depth) {
    std::vector<Kind> kinds;
    for (int i = Below(4); i >= 0; --i) kinds.push_back(static_cast<Kind>(Below(kKinds)));
    if (Below(8) == 0) kinds.clear();
    ir::Value* condition = Pick(s, kBool);
    ir::BodyBuilder bodies[2] = {{*s->graph, "then"}, {*s->graph, "else"}};
    for (ir::BodyBuilder& body : bodies) {
      Scope inner{&body.graph(), &body, s, {}};
      Fill(&inner, 1 + Below(5), depth + 1);
      for (const Kind kind : kinds) body.graph().AddOutput(Pick(&inner, kind), Name());
    }
    Add(s, kinds,
        ir::AddIf(*s->graph, condition, std::move(bodies[0]), std::move(bodies[1]),
                  Names(kinds.size()), {"/if" + std::to_string(count_++), ""}));
  }

  void Loop(Scope* s, uint32_t depth) {
    std::vector<Kind> kinds;
    for (int i = Below(5); i > 0; --i) kinds.push_back(static_cast<Kind>(Below(kKinds)));
    ir::LoopOperands operands;
    // Numbers that were made here are at most 5; others can be anything.
    ir::Value* six = s->graph->AddConstant("six", Integer(6));
    operands.trips = Below(5) == 0
                         ? ir::AddInt(*s->graph, "trips", Below(4) - 1)
                         : Emit(s, OpId::kMod, {Pick(s, kInteger), six}, {{"fmod", int64_t{0}}});
    operands.condition = Below(2) == 0 ? Pick(s, kBool) : nullptr;
    operands.max_trips = 5;
    ir::BodyBuilder body(*s->graph, "body");
    Scope inner{&body.graph(), &body, s, {}};
    inner.values[kInteger].push_back(body.AddParam("i", DType::kI64, {}));
    for (const Kind kind : kinds) {
      operands.carried.push_back(Pick(s, kind));
      const ir::Value* like = operands.carried.back();
      inner.values[kind].push_back(body.AddParam(Name(), like->dtype(), like->shape()));
    }
    Fill(&inner, 1 + Below(5), depth + 1);
    ir::Value* go = Below(3) == 0 ? Pick(&inner, kBool) : ir::AddBool(body.graph(), "go", true);
    body.graph().AddOutput(go, "go");
    for (const Kind kind : kinds) body.graph().AddOutput(Pick(&inner, kind), Name());
    Add(s, kinds,
        ir::AddLoop(*s->graph, std::move(operands), std::move(body), Names(kinds.size()),
                    {"/loop" + std::to_string(count_++), ""}));
  }

  std::vector<std::string> Names(size_t count) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back(Name());
    return names;
  }

  void Add(Scope* s, const std::vector<Kind>& kinds, absl::StatusOr<ir::Node*> node) {
    ASSERT_TRUE(node.ok()) << node.status();
    for (size_t i = 0; i < kinds.size(); ++i) s->values[kinds[i]].push_back((*node)->output(i));
  }

  std::mt19937 random_;
  std::unique_ptr<ir::Graph> graph_;
  ir::Shape matrix_;
  int count_ = 0;
};

}  // namespace

std::unique_ptr<ir::Graph> RandomControlGraph(uint32_t seed) { return Maker(seed).Run(); }

}  // namespace floe::lower
