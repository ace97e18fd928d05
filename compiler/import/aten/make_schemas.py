#!/usr/bin/env python3
"""Writes schemas.txt: the signature of every ATen overload that a traced graph can hold, as PyTorch prints it.

    pip install torch==2.13.0 && python3 compiler/import/aten/make_schemas.py > compiler/import/aten/schemas.txt

The order is PyTorch's order of registration, which decides between overloads that fit equally well (TorchScript prints
calls without overload names). Left out are forms that an inference graph never holds: gradients, results written to
arguments (out=), optimisers, random distributions, sparse and vendor-specific kernels.
"""

import re

import torch
import torch.ao.quantization.fx._decomposed  # noqa: F401: registers quantized_decomposed

LEFT_OUT = re.compile(
    r"backward|_foreach_|_fused_(?!sdp)|cudnn|miopen|mkldnn|_sparse|sparse_|_nested|to_padded|_cslt|_test_|_cufft|"
    r"_dist_|_jvp|_vulkan|_mps|_use_|quantize_channel|_thnn|fbgemm|_validate|_convert_weight|_wrapped|"
    r"_scaled_mm|_make_dep|_triton|_debug|_fw_|_efficientzerotensor|_neg_view|special_bessel|"
    r"special_.*polynomial|special_modified|special_scaled|_stack_|_segment|segment_reduce|_pack_padded_sequence_backward|_histogram|"
    r"_resize_output|_standard_gamma|_sample_dirichlet|_ctc|ctc_loss|_coalesce|coalesce|::_indices|::_values|ccol|crow|"
    r"record_stream|retain_grad|requires_grad|_version|_amp_|_lu_|_linalg_svd|lstsq|_histc|set_data|_flash_attention_forward|_flash_attention_backward|"
    r"::_efficient_attention|_scaled_dot_product_(?:cudnn|efficient|fused)|quantized_(?:lstm|gru)|_weight_norm_diff|_grid_sampler_2d_cpu_f")

# Forms that an inference graph does hold, against the rules above.
KEPT = {"aten::rrelu", "aten::rrelu_", "aten::rrelu_with_noise", "aten::rrelu_with_noise_functional", "aten::linalg_lstsq", "aten::_linalg_svd", "aten::_fused_rms_norm", "aten::cudnn_batch_norm",
        "aten::_thnn_fused_lstm_cell", "aten::_thnn_fused_gru_cell", "aten::ctc_loss", "aten::_ctc_loss",
        "aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_cudnn_attention",
        "aten::_scaled_dot_product_fused_attention_overrideable"}


# Of quantized_decomposed: what PT2E writes for whole tensors and channels.
QUANTIZED = re.compile(r"quantized_decomposed::((de)?quantize_per_(tensor|channel)|choose_qparams)$")


def main():
    for schema in torch._C._jit_get_all_schemas():
        name = schema.name
        if not name.startswith("aten::") or any(a.is_out for a in schema.arguments):
            continue
        if name not in KEPT and (LEFT_OUT.search(name) or "Dimname" in str(schema) or "Generator" in str(schema)):
            continue
        print(schema)
    for schema in torch._C._jit_get_all_schemas():
        if QUANTIZED.match(schema.name) and schema.overload_name != "tensor2":
            print(schema)


if __name__ == "__main__":
    main()
