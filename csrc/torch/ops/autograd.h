// The autograd node of an operator, written by hand as those of torch's own operators are, because
// torch::autograd::Function keeps more about arguments and results than the operators need.
// Measured: 1.1 us more with torch::autograd::Function (one call forward), 0.9 us more (one call backward).
#pragma once

#include <ATen/FuncTorchTLS.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/dynamo/compiled_autograd.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ops/operator_support.h"

namespace namegen::ops {

using torch::autograd::variable_list;

// Whether a gradient of an operator's result could be asked for; where not, its autograd is skipped. Raises
// NotImplementedError where an argument carries a forward-mode derivative, and RuntimeError where torch.func would
// differentiate. In both cases the modules of namegen_ext.nn run torch's own layers, which can do it.
template <class... Tensors>
bool needs_gradient(const char* op, const Tensors&... tensors) {
  const auto any = [](const auto& tensor, auto property) {
    if constexpr (std::is_same_v<std::decay_t<decltype(tensor)>, Tensor>) {
      return tensor.defined() && property(tensor);
    } else {
      return given(tensor) && property(*tensor);
    }
  };
  const bool forward_mode = (any(tensors, [](const Tensor& t) { return t._fw_grad(0).defined(); }) || ...);
  TORCH_CHECK_NOT_IMPLEMENTED(!forward_mode, "jvp is not implemented for namegen_ext::", op);
  if (!at::GradMode::is_enabled() || !(any(tensors, [](const Tensor& t) { return t.requires_grad(); }) || ...)) {
    return false;
  }
  if (const auto& functorch = at::functorch::functorchTLSAccessor()) functorch->checkSupportsCppAutogradFunction();
  return true;
}

// `Operator` is a struct with these members:
//   kName: the node's name. kInputs: how many inputs have a gradient. kSaved: how many tensors are kept, which may be
//   undefined. Options: a tuple of the other values that are kept.
//   backward(gradient, saved, options, wanted): returns the gradients of the inputs.
template <class Operator>
class BackwardNode final : public torch::autograd::Node {
 public:
  using Saved = std::array<Tensor, Operator::kSaved>;
  using Wanted = std::array<bool, Operator::kInputs>;
  using Options = typename Operator::Options;

  // Is called after set_history. `output_at` is the place of the operator's result among the tensors; kSaved: the
  // result is not among them.
  void save(const Saved& tensors, size_t output_at, const Options& options) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      saved_[i] = torch::autograd::SavedVariable(tensors[i], /*is_output=*/i == output_at);
    }
    options_ = options;
  }

  std::string name() const override { return Operator::kName; }

  void release_variables() override {
    const std::lock_guard lock(mutex_);
    for (auto& saved : saved_) saved.reset_data();
  }

  // The two functions that compiled autograd calls. It takes the node as one call and does not look into it.
  void compiled_args(torch::dynamo::autograd::CompiledNodeArgs& args) const override {
    for (const auto& saved : saved_) args.collect(saved, /*is_output=*/true);
    std::apply([&](const auto&... option) { (args.collect(option), ...); }, options_);
  }

  variable_list apply_with_saved(const variable_list& gradients,
                                 torch::dynamo::autograd::SwapSavedVariables& swap) override {
    namespace dynamo = torch::dynamo::autograd;
    for (auto& saved : saved_) swap.before(saved);
    dynamo::PackedArgs packed;
    for (const Tensor& tensor : unpacked()) packed.pack(tensor);
    packed.pack(wanted_gradients());
    std::apply([&](const auto&... option) { (packed.pack(option), ...); }, options_);
    std::vector<at::TypePtr> types;
    for (const at::IValue& value : packed.vec())
      types.push_back(value.isTensor() ? at::TensorType::get() : value.type());
    const auto& python = dynamo::getPyCompilerInterface();
    const auto function =
        python->bind_function(swap.get_py_compiler(), name(), &BackwardNode::backward_of_packed, types,
                              /*is_custom_function=*/true, /*is_traceable=*/false);
    const auto metadata = dynamo::IValuePacker<std::vector<std::optional<torch::autograd::InputMetadata>>>::pack(
        dynamo::get_input_metadata(next_edges()));
    auto result =
        python->call_function(swap.get_py_compiler(), "apply_functional", function, gradients, packed.vec(), metadata);
    for (auto& saved : saved_) swap.after(saved);
    return result;
  }

 protected:
  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard lock(mutex_);
    return backward(gradients, unpacked(), options_, wanted_gradients());
  }

 private:
  static variable_list backward(const variable_list& gradients, const Saved& saved, const Options& options,
                                const Wanted& wanted) {
    if (!gradients[0].defined()) return variable_list(wanted.size());
    return Operator::backward(gradients[0], saved, options, wanted);
  }

  static variable_list backward_of_packed(const variable_list& gradients, const std::vector<at::IValue>& packed) {
    torch::dynamo::autograd::PackedArgs args(packed);
    Saved saved;
    for (Tensor& tensor : saved) tensor = args.unpack<Tensor>();
    const auto wanted = args.unpack<Wanted>();
    Options options;
    std::apply([&](auto&... option) { ((option = args.unpack<std::decay_t<decltype(option)>>()), ...); }, options);
    return backward(gradients, saved, options, wanted);
  }

  Saved unpacked() {
    Saved tensors;
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i] = saved_[i].unpack(getptr());
    return tensors;
  }

  Wanted wanted_gradients() const {
    Wanted wanted;
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = task_should_compute_output(i);
    return wanted;
  }

  std::array<torch::autograd::SavedVariable, Operator::kSaved> saved_;
  Options options_;
};

// Makes a node, held by the kind of pointer that this version of torch holds nodes by.
template <class Node, class Pointer = decltype(torch::autograd::Edge::function)>
auto make_node() {
  if constexpr (std::is_same_v<Pointer, std::shared_ptr<torch::autograd::Node>>) {  // torch 2.11
    return std::shared_ptr<Node>(new Node, [](Node* node) { deleteNode(node); });   // torch's own needs no deep stack
  } else {
    return c10::make_intrusive<Node>();
  }
}

// Makes `output` the result of an operator on `inputs`. Returns the node, whose `save` is to be called next.
template <class Operator, class... Inputs>
auto record(const Tensor& output, const Inputs&... inputs) {
  static_assert(sizeof...(inputs) == Operator::kInputs);
  auto node = make_node<BackwardNode<Operator>>();
  node->set_next_edges(torch::autograd::collect_next_edges(inputs...));
  torch::autograd::set_history(output, node);
  return node;
}

}  // namespace namegen::ops
