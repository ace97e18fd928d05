// The op table: families of rows, each in the file of its converters. To add an op, add a row
// there, and a converter unless one of the file's shared ones fits.
#ifndef FLOE_COMPILER_IMPORT_ATEN_OPS_H_
#define FLOE_COMPILER_IMPORT_ATEN_OPS_H_

#include <span>

#include "compiler/import/aten/op_builder.h"
#include "compiler/import/aten/schema.h"

namespace floe::aten {

std::span<const Row> MathRows();     // ops_math.cc: arithmetic, comparison, logic.
std::span<const Row> UnaryRows();    // ops_unary.cc: elementwise functions of one tensor.
std::span<const Row> ViewRows();     // ops_view.cc: views of all elements.
std::span<const Row> SliceRows();    // ops_slice.cc: views of some elements, splits.
std::span<const Row> ArrangeRows();  // ops_arrange.cc: joins, repetitions, rotations, diagonals.
std::span<const Row> ReduceRows();   // ops_reduce.cc: sums, extremes, moments, norms.
std::span<const Row> IndexRows();    // ops_index.cc: gathers, scatters, masks.
std::span<const Row> OrderRows();    // ops_order.cc: sorting, quantiles, running sums.
std::span<const Row> CreateRows();   // ops_create.cc: tensors from numbers, dtypes, copies.
std::span<const Row> ScalarRows();   // ops_scalar.cc: numbers that are known at run time.
std::span<const Row> LinalgRows();   // ops_linalg.cc: einsum, products beyond matrices.

// Layers of neural networks.
std::span<const Row> ActivationRows();  // ops_activation.cc: activations, softmax, dropout.
std::span<const Row> AttentionRows();   // ops_attention.cc
std::span<const Row> ClassLossRows();   // ops_class_loss.cc: losses of classes.
std::span<const Row> ConvRows();        // ops_conv.cc
std::span<const Row> CtcRows();         // ops_ctc.cc: the CTC loss.
std::span<const Row> DistanceRows();    // ops_distance.cc: norms of differences.
std::span<const Row> EmbeddingRows();   // ops_embedding.cc
std::span<const Row> ImageRows();       // ops_image.cc: sampling grids, shuffles, columns.
std::span<const Row> LinearRows();      // ops_linear.cc: linear layers, products of matrices.
std::span<const Row> LossRows();        // ops_loss.cc
std::span<const Row> NormRows();        // ops_norm.cc
std::span<const Row> PadRows();         // ops_pad.cc
std::span<const Row> PoolRows();        // ops_pool.cc
std::span<const Row> PackRows();        // ops_recurrent.cc: packed sequences of padded ones.
std::span<const Row> QuantizeRows();    // ops_quantize.cc: quantized_decomposed.
std::span<const Row> RecurrentRows();   // ops_recurrent.cc
std::span<const Row> ResizeRows();      // ops_resize.cc

// Mathematics beyond layers.
std::span<const Row> FourierRows();  // ops_fourier.cc: Fourier transforms, of reals and complexes.
std::span<const Row> ComplexFromRealRows();  // ops_complex.cc: complex tensors of real ones.
std::span<const Row> SpecialRows();  // ops_special.cc: special functions, counts, selections.

// Rows for arguments of other forms than plain (variable.h).
std::span<const Row> ComplexRows();      // ops_complex.cc: arithmetic.
std::span<const Row> ComplexPartRows();  // ops_complex_parts.cc: part by part.
std::span<const Row> PackedRows();       // ops_recurrent.cc: sequences of several lengths.

// The row of an overload for arguments of which at least one has the form: its own, else its op's;
// null if there is none.
const Row* FindRow(const Schema& schema, Form form = Form::kPlain);
// Every row, for tests and documentation.
std::span<const std::span<const Row>> AllRows();

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_OPS_H_
